"""A local Nexla for rehearsals and tests: the REST API with real data behind it.

Run it with ``python -m sandbox``. It is not a mock: sources read files, transforms transform, destinations write.
It listens on the loopback interface only, and the ``Server`` header of every response says that it is a sandbox.
"""
