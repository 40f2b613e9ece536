"""Attribute transform: a keyed hash, the same for the same value, so that records can still be joined.

Without a secret key a short value can be found again by trying all of them: give one in args["key"].
"""

import hashlib
import hmac


def transformAttribute(input, metadata, args):
    value = input.get(args.get("field", "customer_id"))
    if value is None or value == "" or isinstance(value, bool):
        return None
    key = str(args.get("key", "")).encode()
    return hmac.new(key, str(value).strip().lower().encode(), hashlib.sha256).hexdigest()
