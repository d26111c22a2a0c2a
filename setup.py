"""The list of packages: what lies in ``tfssl/``, and the shipped configurations and models as packages of data.

Everything else is in setup.cfg, which cannot add to the packages it finds.
"""

import sys

from setuptools import find_packages, setup

PACKAGES = find_packages(include=["tfssl", "tfssl.*"])
DATA = {"tfssl.configs": "configs", "tfssl.savedmodels": "savedmodels"}

if "editable_wheel" in sys.argv:
    # An editable install uses the folders of the checkout (tfssl/resources.py). "" as the one root makes it a plain
    # path entry. Otherwise it would be an import hook, and a folder named tfssl in the working directory, such as the
    # checkout seen from its parent, would be imported instead of the package.
    setup(packages=PACKAGES, package_dir={"": "."})
else:
    setup(packages=[*PACKAGES, *DATA], package_dir=DATA)
