"""Whether a server answers yet."""

from __future__ import annotations

import http.client
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from cluster.certificates import Certificate

SECONDS = 5


def tls_of(authority: Path, client: Certificate) -> ssl.SSLContext:
    """For a client with a certificate, who trusts this authority alone."""
    context = ssl.create_default_context(cafile=authority)
    context.load_cert_chain(client.certificate, client.key)
    return context


def get(url: str, tls: ssl.SSLContext | None = None) -> bytes | None:
    """What a GET is answered with; None unless that is a success. Goes there directly, whatever proxy there may be."""
    where = urlsplit(url)
    connection = (
        http.client.HTTPConnection(where.netloc, timeout=SECONDS)
        if tls is None
        else http.client.HTTPSConnection(where.netloc, timeout=SECONDS, context=tls)
    )
    try:
        connection.request("GET", where.path)
        answer = connection.getresponse()
        return answer.read() if answer.status == http.HTTPStatus.OK else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def answers(url: str, tls: ssl.SSLContext | None = None) -> bool:
    return get(url, tls) is not None
