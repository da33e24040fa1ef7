"""Objects as Node's console.log prints them, made JSON: scripts that drive a load tool print its result so."""

from __future__ import annotations

import re

_KEY = re.compile(
    r"(?P<before>(?:^|[{,])[ \t]*)(?P<quote>'?)(?P<key>[A-Za-z_$0-9]{1,60})(?P=quote):(?=[ \t])", re.M
)
_STRING = re.compile(r"(?<=[:\[,] )'(?P<inner>[^'\"\\\n]{0,2000})'")
_DATE = re.compile(r"(?<=: )(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,20}Z)")
_NOTHING = re.compile(r"(?<=: )(?:undefined|\[(?:Object|Array|Function[^\]\n]{0,80})\])")


def as_json(text: str) -> str:
    """The text with the keys, strings, dates and missing values of such objects as JSON has them; lines stay lines."""
    text = _STRING.sub(r'"\g<inner>"', text)
    text = _DATE.sub(r'"\g<date>"', text)
    text = _NOTHING.sub("null", text)
    # Two keys of one line share the comma between them only as what stands before the second.
    return _KEY.sub(r'\g<before>"\g<key>":', text)
