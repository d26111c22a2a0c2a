"""Class names of pictures that lie in class folders."""

from tfssl.data.images import FileSource


def folder_labels(source):
    """The class of each picture, if the source has a folder for each class.

    Args:
        source: an :class:`tfssl.data.images.ImageSource`.

    Returns:
        List of the names of the folders right above the pictures; None if the source has no files, or all lie in
        folders of one name.
    """
    if not isinstance(source, FileSource):
        return None
    labels = [name.replace("\\", "/").split("/")[-2:-1] for name in map(source.name, range(len(source)))]
    names = ["".join(label) for label in labels]
    return names if len(set(names)) > 1 else None
