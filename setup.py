"""The list of packages: what lies in ``tfssl/``, and the shipped configurations and models as packages of data.

Everything else is in setup.cfg, which cannot add to the packages it finds.
"""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["tfssl", "tfssl.*"]), "tfssl.configs", "tfssl.savedmodels"])
