"""The version of the bundle: ``--version``, the User-Agent, journals, SKILL.md and CHANGELOG.md all show it."""

VERSION = "0.2.0"
NAME = "nexla-data-flows-operator"
