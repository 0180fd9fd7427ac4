"""Put the golden data and the expectations into real wheels; editable installs read them where they are."""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class DataHook(BuildHookInterface):  # type: ignore[misc, type-arg, unused-ignore]
    """Ship ``golden/`` as ``gruspec/_golden`` and ``expectations/`` as ``gruspec/_expectations``."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the data folders to a standard wheel."""
        if version == "standard":
            build_data["force_include"] |= {"golden": "gruspec/_golden", "expectations": "gruspec/_expectations"}
