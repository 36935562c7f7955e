"""HTTP requests that find out if a server is ready."""

from __future__ import annotations

import http.client
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from devcluster.certificates import Certificate

SECONDS = 5


def client_tls(authority: Path, client: Certificate) -> ssl.SSLContext:
    """Return the TLS settings of a client with a certificate that trusts this authority alone."""
    context = ssl.create_default_context(cafile=authority)
    context.load_cert_chain(client.certificate, client.key)
    return context


def get(url: str, tls: ssl.SSLContext | None = None) -> bytes | None:
    """
    Return the body of a successful answer to GET, else None.

    The request goes straight to the server: urllib would send it through the proxy that the environment names.
    """
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


def responds(url: str, tls: ssl.SSLContext | None = None) -> bool:
    return get(url, tls) is not None
