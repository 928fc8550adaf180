"""What can go wrong between this machine and an S3 server, each with one line that says what to do.

No message carries a credential: boto3 is asked only for its error codes and for the address it tried.
"""

from collections.abc import Iterator
from contextlib import contextmanager

MISSING = {"404", "NoSuchKey", "NotFound"}
TAKEN = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}
DAMAGED = {"BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch"}
REFUSED = {"403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}


class ObjectError(RuntimeError):
    """Something in the object store is not as it should be."""


class ObjectMissing(ObjectError):
    """There is no such object."""


class ObjectDamaged(ObjectError):
    """Bytes that are not those that were put."""


class ObjectTaken(ObjectError):
    """Another writer was first: a conditional write was lost."""


class StoreRefuses(ObjectError):
    """The server knows us not, or the bucket is not there."""


class StoreAway(ObjectError):
    """The server does not answer, and all retries are spent."""


class AddressError(ValueError):
    """An address that names no store."""


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Turn what boto3 raises about `place` into one of the above.

    Raises:
        ObjectMissing, ObjectDamaged, ObjectTaken, StoreRefuses, StoreAway: see each.
    """
    from boto3.exceptions import Boto3Error
    from botocore import exceptions as boto
    from s3transfer.exceptions import RetriesExceededError

    try:
        yield
    except boto.ClientError as error:
        raise _refusal(place, error.response) from error
    except boto.FlexibleChecksumError as error:
        raise ObjectDamaged(f"{place}: the bytes are not those that were put; put the object again") from error
    except (boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError) as error:
        raise StoreRefuses(
            f"{place}: no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where a role is attached"
        ) from error
    except (boto.BotoCoreError, Boto3Error, RetriesExceededError) as error:
        raise StoreAway(
            f"{place}: the store does not answer ({_short(error)}); mend it or AWS_ENDPOINT_URL_S3 and repeat"
        ) from error


def code(response: dict) -> str:
    """The error code of an S3 answer."""
    return str(response.get("Error", {}).get("Code", "unknown"))


def _refusal(place: str, response: dict) -> ObjectError:
    said = code(response)
    if said in MISSING:
        return ObjectMissing(f"{place}: no such object")
    if said in TAKEN:
        return ObjectTaken(f"{place}: another writer was first; nothing was written")
    if said in DAMAGED:
        return ObjectDamaged(f"{place}: what arrived is not what was sent ({said}); nothing was written, repeat")
    if said in REFUSED:
        return StoreRefuses(f"{place}: the store refuses ({said}); check the AWS_* credentials and the bucket's policy")
    if said == "NoSuchBucket":
        return StoreRefuses(f"{place}: there is no such bucket; make it or correct FORESIGHT_OBJECTS")
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if status >= 500 or said in ("SlowDown", "RequestTimeout", "Throttling"):
        return StoreAway(f"{place}: the store fails ({said}); mend it and repeat")
    return ObjectError(f"{place}: the store answers {said}; see its log")


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
