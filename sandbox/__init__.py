"""A local Nexla for rehearsals and tests: the REST API with real data behind it.

Run it with ``python -m sandbox``. It is not a mock: sources read files, transforms transform, destinations write.
It listens on the loopback interface only and says in every answer's ``Server`` header that it is a sandbox.
"""
