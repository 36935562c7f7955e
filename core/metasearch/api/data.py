"""The data set, and the few-shot task."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from metasearch.api.base import WHOLE_NUMBER, Rule, SpecModel
from metasearch.api.names import EXTENSION_MAX_LENGTH, EXTENSION_PATTERN, SUBDOMAIN_MAX_LENGTH, SUBDOMAIN_PATTERN


class DatasetName(StrEnum):
    """The data sets that come with MetaSearch."""

    OMNIGLOT = "omniglot"
    OMNIGLOT_RANDOM = "omniglot-random"


OMNIGLOT_SEARCH_CLASSES = 1200
"""The number of training and validation classes of Omniglot, the same in both splits."""

OMNIGLOT_SIDE = 28
"""The height and width in pixels in which Omniglot comes."""


class Folder(SpecModel):
    """Images of the user's own."""

    path: str = Field(
        min_length=1,
        max_length=1024,
        description="path is a folder with one sub-folder of images per class, or an .npz file with images (N,H,W) or "
        "(N,H,W,3) uint8, labels (N,) and classes. A relative path counts from the working directory; on a cluster, "
        "from the root of claim's volume.",
    )
    split: str = Field(
        default="split.json",
        min_length=1,
        max_length=1024,
        description="split is a JSON file {train, validation, test: [class names]}, or a folder with train.csv, "
        "val.csv and test.csv (filename,label, as Mini-ImageNet's). A relative path counts from the images' folder. "
        "Default: split.json.",
    )
    channels: Annotated[Literal[1, 3] | None, WHOLE_NUMBER] = Field(
        default=None,
        description="channels is 1 to read the images as greyscale or 3 as colour. Default: as the first image is.",
    )
    claim: str | None = Field(
        default=None,
        max_length=SUBDOMAIN_MAX_LENGTH,
        pattern=SUBDOMAIN_PATTERN,
        description="claim is the PersistentVolumeClaim, in the search's namespace, whose volume holds the images; "
        "workers only read it. A run on one machine ignores it. Default: none, path is in the image.",
    )

    # An absolute path would be one in the container, outside the volume.
    rules = (
        Rule(
            cel="!has(self.claim) || !self.path.startsWith('/')",
            message="must have a relative path where claim is given",
            holds=lambda folder: folder.claim is None or not folder.path.startswith("/"),
        ),
    )


class Dataset(SpecModel):
    """The source of the images. Exactly one of name and folder."""

    name: str | None = Field(
        default=None,
        max_length=EXTENSION_MAX_LENGTH,
        pattern=EXTENSION_PATTERN,
        description="name is a data set: omniglot (1,623 handwritten characters, 20 images each, split by alphabet as "
        "by Vinyals et al. 2016), omniglot-random (the same split at random into 1,100 characters to train on, 100 to "
        "choose by and 423 to test on, as published figures of MAML, Reptile and Auto-Meta are measured; easier, since "
        "an alphabet's characters are on both sides), or one that an installed package adds.",
    )
    folder: Folder | None = Field(default=None, description="folder is a set of images of your own.")
    image_size: int | None = Field(
        default=None,
        ge=8,
        le=512,
        description="imageSize is the side in pixels that images are resized to. Default: as they are (Omniglot: 28); "
        "84 where the images of a folder differ in size.",
    )
    rotations: Annotated[Literal[1, 2, 4] | None, WHOLE_NUMBER] = Field(
        default=None,
        description="rotations makes each training class into that many classes, turned by multiples of 90 degrees "
        "(2: by 180). Validation and test classes are never turned. Default: 4 for Omniglot, as in Reptile, else 1.",
    )

    rules = (
        Rule(
            cel="has(self.name) != has(self.folder)",
            message="must have exactly one of name and folder",
            holds=lambda dataset: (dataset.name is None) != (dataset.folder is None),
        ),
    )

    @property
    def training_rotations(self) -> int:
        """Return the number of classes made from each training class, with the default resolved: 1, 2 or 4."""
        return self.rotations or (4 if self.is_omniglot else 1)

    @property
    def title(self) -> str:
        """Return the name for people: of a data set, or the path of a folder."""
        if self.folder is not None:
            return self.folder.path
        titles: dict[str | None, str] = {"omniglot": "Omniglot", "omniglot-random": "Omniglot (split at random)"}
        return titles.get(self.name, str(self.name))

    @property
    def image_side(self) -> int | None:
        """Return the height and width of the images in pixels; None where only the images themselves tell."""
        return self.image_size or (OMNIGLOT_SIDE if self.is_omniglot else None)

    @property
    def image_channels(self) -> int | None:
        """Return the number of channels of the images; None where only the images themselves tell."""
        return 1 if self.is_omniglot else self.folder.channels if self.folder else None

    @property
    def is_omniglot(self) -> bool:
        """Tell whether the images are Omniglot's, in either split."""
        return self.name in (DatasetName.OMNIGLOT, DatasetName.OMNIGLOT_RANDOM)


class Task(SpecModel):
    """The few-shot task that a delivered network must solve."""

    ways: int = Field(default=5, ge=2, le=200, description="ways is the number of classes in a task. Default: 5.")
    shots: int = Field(
        default=1, ge=1, le=100, description="shots is the number of labelled images per class. Default: 1."
    )
