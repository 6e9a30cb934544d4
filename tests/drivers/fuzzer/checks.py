"""What no answer may be, whatever the request: a failure that nobody designed.

A designed one says in its body what it is, and when the client may come back. Anything else of 500 and above is a fault of ours.
"""

import schemathesis

# Statuses of failures that are the moment's and not ours, and of results that are too large.
DESIGNED = {503, 504, 507}


@schemathesis.check
def only_designed_failures(ctx, response, case):
    if response.status_code < 500:
        return
    assert response.status_code in DESIGNED, f"{response.status_code}: {response.text[:1000]}"
    if case.method == "HEAD":
        return
    body = response.json()
    names_itself = body.get("code") or body.get("type", "about:blank") != "about:blank" or body.get("detail")
    assert names_itself, f"a {response.status_code} that does not say what it is: {response.text[:1000]}"
