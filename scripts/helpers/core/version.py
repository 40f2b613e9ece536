"""The one version of the bundle: ``--version``, the User-Agent, journals, SKILL.md and CHANGELOG.md agree with it."""

VERSION = "0.2.0"
NAME = "nexla-data-flows-operator"
