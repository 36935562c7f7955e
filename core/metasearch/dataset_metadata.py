"""
The metadata of a search's data set, as `metasearch inspect` prints it and `Search.inspect` returns it.

Values only; `metasearch_trainer.dataset_metadata` measures them. The field descriptions are the documentation of the
JSON (docs/reference/dataset.md).
"""

from __future__ import annotations

from pydantic import Field

from metasearch.api import SpecModel


class SplitMetadata(SpecModel):
    """The classes and images of one part of a data set, and the tasks that can be drawn of it."""

    classes: int = Field(description="classes is the number of classes, before rotations.")
    task_classes: int = Field(
        description="taskClasses is the number of classes that tasks are drawn from: in training, classes times "
        "dataset.rotations."
    )
    images: int = Field(description="images is the number of images, before rotations.")
    fewest_images: int = Field(description="fewestImages is the number of images of the class that has the fewest.")
    median_images: float = Field(description="medianImages is the median number of images of a class.")
    most_images: int = Field(description="mostImages is the number of images of the class that has the most.")
    lowest: float = Field(description="lowest is the lowest value of a pixel in any channel, in [0, 1].")
    highest: float = Field(description="highest is the highest value of a pixel in any channel, in [0, 1].")
    mean: tuple[float, ...] = Field(description="mean is the mean value of the pixels of each channel, in [0, 1].")
    standard_deviation: tuple[float, ...] = Field(
        description="standardDeviation is the standard deviation of the pixels of each channel over all images."
    )
    identical_images: int = Field(
        description="identicalImages is the number of images that equal another of the data set pixel by pixel, "
        "after reading and resizing."
    )
    near_duplicates: int = Field(
        description="nearDuplicates is the number of images that differ from another of the data set by 0.02 at most, "
        "which is the root mean square over pixels with values in [0, 1]; identical images are among them."
    )
    near_duplicate_share: float = Field(
        description="nearDuplicateShare is nearDuplicates as a share of images, in [0, 1]."
    )
    in_other_classes: int = Field(
        description="inOtherClasses is the number of images that have a near duplicate in another class, which may be "
        "labelled wrongly."
    )
    in_other_splits: int = Field(
        description="inOtherSplits is the number of images that have a near duplicate in another split, by "
        "which scores flatter."
    )
    ways: int = Field(description="ways is the number of classes of a task: task.ways.")
    images_per_task_class: int = Field(
        description="imagesPerTaskClass is the number of images that a task takes of each class, support and query "
        "images together: in training as the meta-learner's settings say, else task.shots and one."
    )
    log10_tasks: float | None = Field(
        description="log10Tasks is the decimal logarithm of the number of different tasks, by the images that they "
        "hold. Null where no task can be drawn."
    )


class DatasetMetadata(SpecModel):
    """A data set as a search reads it, and what the search's settings would refuse of it."""

    name: str = Field(description="name is the data set's, or the path of its folder.")
    channels: int = Field(description="channels is 1 for greyscale images and 3 for colour.")
    side: int = Field(description="side is the height and width of an image in pixels.")
    training: SplitMetadata = Field(description="training is the part that trials are trained on.")
    validation: SplitMetadata = Field(description="validation is the part that search scores come from.")
    test: SplitMetadata = Field(description="test is the part that final trials are reported on.")
    device_bytes: int = Field(
        description="deviceBytes is the memory that the images of all parts take on a device, 8 bits a pixel and "
        "channel, rotated copies and those for evaluation.folds included."
    )
    refusals: tuple[str, ...] = Field(
        description="refusals are the sentences with which a search would refuse the data set, such as that a class "
        "has fewer images than a training task takes. Empty where it would not."
    )
