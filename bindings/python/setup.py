"""Hands the border to cffi's part of setuptools."""

from setuptools import setup

setup(cffi_modules=["build_border.py:border"])
