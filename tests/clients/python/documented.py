"""Answers that Schemathesis takes for failures although docs/COMPATIBILITY.md promises them.

A schema says which requests are well formed. It cannot say which names are taken, which hook is active, or that two
members must fit together. Each rule below is for the one check, the operations and the very answer that it names.
"""

import json
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    section: str  # of docs/COMPATIBILITY.md
    check: str
    operations: str  # a pattern of operation ids
    status: int
    answer: str  # a pattern of what the answer says: the cause, the message, or the body
    about: str = ""  # a pattern of what the check says, where the answer alone does not tell


RULES = [
    # Okta says 403 where there is no token; Schemathesis insists on 401.
    Rule("Okta §0.5", "MissingHeaderNotRejected", ".*", 403, r"E0000005"),
    Rule("Okta §1, unknown values of expand are ignored", "AcceptedNegativeData", "getHookKey", 200, r'^\{"(id|kty)"'),
    Rule("Okta §1, unknown values of expand are ignored", "AcceptedNegativeData", "getHookKey", 304, r"^$",
         about=r"parameter `expand`"),
    Rule("Okta §3, name taken",
         "RejectedPositiveData", "(create|replace)HookKey|(create|replace|update)InlineHook", 400,
         r"name: An object with this field already exists"),
    Rule("Okta §3, delete a key in use",
         "RejectedPositiveData", "deleteHookKey", 400, r"hookKey: Cannot delete .* in use"),
    Rule("Okta §5, delete an active hook", "RejectedPositiveData", "deleteInlineHook", 400,
         r"Cannot delete an active"),
    Rule("Okta §5, members of OAuth in an HTTP channel", "AcceptedNegativeData", "(create|replace|update)InlineHook", 200,
         r'"channel":\{"type":"HTTP"',
         about=r"^(?!.*violates \S+ at (?!\S*/(clientId|clientSecret|tokenUrl|authType|scope|hookKeyId)\b)).*in body"),
    Rule("Okta §6, an inactive hook", "RejectedPositiveData", "executeInlineHook", 400, r"Cannot execute an inactive"),
    Rule("Okta §6, a header that cannot be sent", "RejectedPositiveData", "executeInlineHook", 400,
         r"E0000134.*The header .* cannot be sent"),
    Rule("Okta §5, hookKeyId of no key", "RejectedPositiveData", "(create|replace|update)InlineHook", 400,
         r"hookKeyId: There is no hook key with the id"),
    Rule("Okta §5, type of a hook that exists", "RejectedPositiveData", "(replace|update)InlineHook", 400,
         r"type: The type of an inline hook cannot change"),
    Rule("Okta §5, PUT without the secret", "RejectedPositiveData", "(replace|update)InlineHook", 400,
         r"(authScheme\.value|clientSecret): The field cannot be left blank"),
    Rule("Okta §5, names of headers", "RejectedPositiveData", "(create|replace|update)InlineHook", 400,
         r"is set by the service itself|is set by the channel's authentication"),
    Rule("Okta §5, the hook that comes out of a merge must be whole", "RejectedPositiveData", "updateInlineHook", 400,
         r"channel\.config(\.\w+)*: The field (cannot be left blank|must be (left out|null)|is for the authType)"),
    Rule("Okta §12, since and until", "RejectedPositiveData", "listLogEvents", 400,
         r"since: It must not be after until"),
    Rule("Okta §12, filter", "RejectedPositiveData", "listLogEvents", 400, r"filter: It is not understood"),
    Rule("Kong §3, 431", "AcceptedNegativeData", ".*", 431, r"Request line and headers too large"),
    Rule("Kong §1, DELETE is 204 also for what is not there",
         "AcceptedNegativeData", "deleteKeySet|deleteKey", 204, r"^$"),
    Rule("Kong §1, the path decides which one it is: id and name of the body are ignored", "AcceptedNegativeData",
         "replaceKey.*", 200, r'^\{"created_at"', about=r"in body - (id|name)\b"),
    Rule("Kong §6, in a list an empty value is null, and null is no tag", "RejectedPositiveData",
         "(create|upsert|replace|update)Key.*", 400, r"\(tags\.\d+: expected a string\)"),
    Rule("Kong §6, an empty value is null, and so a field that must be there is missing", "RejectedPositiveData",
         "(create|upsert|replace|update)Key.*", 400, r"required field missing"),
    Rule("Kong §10, keys and key sets have each their own rules",
         "AcceptedNegativeData", "validateEntity", 200, "successful",
         about=r"in body"),
    Rule("Kong §10, a verdict is what was asked for", "RejectedPositiveData", "validateEntity", 400, r'"code":2,'),
    Rule("Kong §7, a tag that nothing has",
         "AcceptedNegativeData", "listEntitiesByTag", 200, r'^\{"data":\[\],"next":null\}$'),
    Rule("Kong §7, a tag that nothing has",
         "AcceptedNegativeData", "listEntitiesByTag", 304, r"^$", about=r"parameter `tag` in path"),
    Rule("Kong §7, an offset that is none", "RejectedPositiveData", "list.*", 400, r'"code":7\}$'),
    Rule("Kong §3, code 3", "RejectedPositiveData", "(create|upsert|replace).*", 400, r'"code":3,'),
    Rule("Kong §3, codes 4 and 13",
         "RejectedPositiveData", "(create|upsert|replace|update)Key.*", 400, r'"code":(4|13),'),
    Rule("Kong §5, a vault reference cannot be converted", "RejectedPositiveData", "getKey|getKeyOfKeySet", 400,
         r"a vault reference cannot be converted"),
    Rule("Kong §4, the key that comes out of a PATCH must be whole",
         "RejectedPositiveData", "updateKey|updateKeyOfKeySet",
         400, r'"code":2,"fields":\{"@entity":\["[^"]*(non-empty|must be set|must be equal)'),
    Rule("Kong §4, a half that a PATCH brings must fit the half that is there",
         "RejectedPositiveData", "updateKey|updateKeyOfKeySet", 400, r"public key does not match private key"),
    Rule("Kong §6, a field in two ways",
         "RejectedPositiveData", "(create|upsert|replace|update)Key.*|validateEntity", 400,
         r"a field is given in two ways that exclude each other|set\.(id|name): expected a string"),
    Rule("Kong §4, both formats, or no half of a PEM",
         "RejectedPositiveData", "(create|upsert|replace|update)Key.*|validateEntity",
         400, r"only one or none of these fields must be set|must be non-empty: 'private_key', 'public_key'"),
]


def is_documented(failure, case, response):
    """The section that promises this answer, or nothing."""
    operation = case.operation.definition.raw.get("operationId", "")
    sent = response.request.headers.values()
    if response.status_code == 400 and not response.content and not all(map(sendable, sent)):
        return "Okta §3, a head that is not HTTP as it should be"
    for rule in RULES:
        if (type(failure).__name__ == rule.check and response.status_code == rule.status
                and re.fullmatch(rule.operations, operation) and re.search(rule.answer, said(response), re.DOTALL)
                and re.search(rule.about, failure.message, re.DOTALL)):
            return rule.section
    return None


def sendable(value):
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    return not re.search(r"[\x00-\x08\x0a-\x1f\x7f]", text)


def said(response):
    """What the answer says: of a failure of the Okta side the code and the causes, of anything else all of it."""
    try:
        failure = json.loads(response.content)
        return f"{failure['errorCode']} " + "; ".join(cause["errorSummary"] for cause in failure["errorCauses"])
    except (ValueError, KeyError, TypeError):
        return response.content.decode("utf-8", "replace")
