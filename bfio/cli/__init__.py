"""The ``bfio`` command."""
