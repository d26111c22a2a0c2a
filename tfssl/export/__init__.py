"""From a trained model to a server, a phone or a browser: SavedModel, LiteRT, a page, and the check of each."""

from typing import TYPE_CHECKING

from tfssl.imports import lazy

if TYPE_CHECKING:
    from tfssl.export.check import check_export as check_export
    from tfssl.export.run import export_run as export_run
    from tfssl.export.savedmodel import export_savedmodel as export_savedmodel, load_savedmodel as load_savedmodel
    from tfssl.export.tflite import export_tflite as export_tflite
    from tfssl.export.web import export_web as export_web
else:
    # Imported when first used: `python -m tfssl.export.check` must not find its module loaded already.
    __getattr__, __dir__, __all__ = lazy(__name__, __file__)
