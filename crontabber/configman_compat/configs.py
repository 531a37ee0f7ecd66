"""From definitions with their values to a configuration, and its end: each a walk through everything.

Imported while configman.config_manager is, when everything beneath it is there.
"""

from __future__ import annotations

from collections.abc import Mapping

from configman.dotdict import DotDict, DotDictWithAcquisition
from configman.namespace import Namespace
from configman.option import Aggregation, Option

from crontabber.configman_compat.containers import PLAIN_TYPES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def get_config(self: Any, mapping_class: Any = DotDictWithAcquisition) -> Any:
    """The configuration, with what its aggregations have made of it. A method of ConfigurationManager.

    configman's own makes all of it a second time, only to have these few values in it.
    """
    config = self._generate_config(mapping_class)
    if self._aggregate(self.option_definitions, config, config):
        _put_aggregations(self.option_definitions, config)
    return config


def walk_config_copy_values(self: Any, source: Any, destination: Any, mapping_class: Any) -> None:
    """Copy the values of `source`, a namespace, into `destination`. A method of ConfigurationManager."""
    usual = type(destination) in (DotDict, DotDictWithAcquisition)
    held = vars(destination)
    for key, member in source.items():
        if key.endswith("$"):
            continue
        if isinstance(member, (Option, Aggregation)):
            value = member.value
            if usual and type(value) in PLAIN_TYPES and "." not in key and key[0] != "_":
                held["_key_order"].map[key] = None
                held[key] = value
            else:
                destination[key] = value
        elif type(member) is Namespace:
            destination[key] = below = mapping_class()
            self._walk_config_copy_values(member, below, mapping_class)


def aggregate(self: Any, source: Any, base_namespace: Any, local_namespace: Any) -> bool:
    """Have each aggregation make its value; is there any? A method of ConfigurationManager."""
    found = False
    for key, member in source.items():
        if isinstance(member, Namespace):
            if _has_aggregations(member):
                self._aggregate(member, base_namespace, local_namespace[key])
                found = True
        elif isinstance(member, Aggregation):
            member.aggregate(base_namespace, local_namespace, self.args)
            found = True
    return found


def walk_and_close(config: Any) -> None:
    """Close whatever can be closed, the innermost first. A static method of ConfigurationManager."""
    for value in config.values():
        if type(value) in PLAIN_TYPES or isinstance(value, type):
            continue
        if isinstance(value, Mapping):
            walk_and_close(value)
        try:
            if hasattr(value, "close"):
                value.close()
        except KeyError:
            pass  # hasattr does not expect it of a mapping.


def _put_aggregations(source: Any, config: Any) -> None:
    for key, member in source.items():
        if isinstance(member, Aggregation) and not key.endswith("$"):
            config[key] = member.value
        elif isinstance(member, Namespace) and _has_aggregations(member):
            _put_aggregations(member, config[key])


def _has_aggregations(namespace: Any) -> bool:
    for member in namespace.values():
        if isinstance(member, Aggregation) or (isinstance(member, Namespace) and _has_aggregations(member)):
            return True
    return False
