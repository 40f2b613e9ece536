"""Attribute transform: a keyed hash, the same for the same value, so that records can still be joined.

Without a secret key a short value can be found again by trying all of them: give one in args["key"].
"""

import hashlib
import hmac
import re


def transformAttribute(input, metadata, args):
    value = input.get(args.get("field", "customer_id"))
    if value is None or value == "" or isinstance(value, bool):
        return None
    text = str(value).strip().lower()
    if re.fullmatch(r"[0-9a-f]{64}", text):
        return text  # a hash already
    key = str(args.get("key", "")).encode()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
