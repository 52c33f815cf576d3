"""Uses Object Lock of the lab with boto3.

Arguments: the endpoints as JSON, and the name of a bucket without Object Lock. Prints one line for each part that passed.
"""

import sys

from boto3_support import client, expect, in_days, part, refused, run_parts, set_clock

PLAIN = sys.argv[2]
BUCKET = "locked"
S3 = client("s3")


def named(answer, key):
    return {"Bucket": BUCKET, "Key": key, "VersionId": answer["VersionId"]}


def put(key, mode, days, **more):
    lock = {"ObjectLockMode": mode, "ObjectLockRetainUntilDate": in_days(days)}
    return named(S3.put_object(Bucket=BUCKET, Key=key, Body=b"x", ChecksumAlgorithm="SHA256", **lock, **more), key)


def retain(version, mode, days, **more):
    S3.put_object_retention(**version, Retention={"Mode": mode, "RetainUntilDate": in_days(days)}, **more)


def retention(version):
    found = S3.get_object_retention(**version)["Retention"]
    return found["Mode"], found["RetainUntilDate"].date()


def is_gone(version):
    refused("404", S3.head_object, **version)


@part
def buckets():
    S3.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True)
    expect(S3.get_bucket_versioning(Bucket=BUCKET)["Status"], "Enabled")
    expect(S3.get_object_lock_configuration(Bucket=BUCKET)["ObjectLockConfiguration"], {"ObjectLockEnabled": "Enabled"})
    suspended = {"Status": "Suspended"}
    refused("InvalidBucketState", S3.put_bucket_versioning, Bucket=BUCKET, VersioningConfiguration=suspended)
    refused("ObjectLockConfigurationNotFoundError", S3.get_object_lock_configuration, Bucket=PLAIN)
    enabled = {"ObjectLockEnabled": "Enabled"}
    refused("InvalidBucketState", S3.put_object_lock_configuration, Bucket=PLAIN, ObjectLockConfiguration=enabled)
    both = {**enabled, "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1, "Years": 1}}}
    refused("MalformedXML", S3.put_object_lock_configuration, Bucket=BUCKET, ObjectLockConfiguration=both)


@part
def requests():
    object = {"Bucket": BUCKET, "Key": "x", "Body": b"", "ChecksumAlgorithm": "SHA256"}
    lock = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": in_days(1)}
    refused("InvalidRequest", S3.put_object, **{**object, "Bucket": PLAIN}, **lock)
    refused("InvalidRequest", S3.create_multipart_upload, Bucket=PLAIN, Key="x", **lock)
    refused("InvalidArgument", S3.put_object, **object, ObjectLockMode="COMPLIANCE")
    refused("InvalidArgument", S3.put_object, **object, **{**lock, "ObjectLockMode": "OTHER"})
    refused("InvalidArgument", S3.put_object, **object, **{**lock, "ObjectLockRetainUntilDate": in_days(-1)})
    open_object = named(S3.put_object(**object), "x")
    refused("NoSuchObjectLockConfiguration", S3.get_object_retention, **open_object)
    S3.put_object(Bucket=PLAIN, Key="x", Body=b"")
    refused("InvalidRequest", S3.get_object_retention, Bucket=PLAIN, Key="x")
    S3.delete_object(**open_object)
    is_gone(open_object)


@part
def compliance():
    version = put("strict", "COMPLIANCE", 30)
    head = S3.head_object(**version)
    expect((head["ObjectLockMode"], head["ObjectLockRetainUntilDate"].date()), ("COMPLIANCE", in_days(30).date()))
    expect(retention(version), ("COMPLIANCE", in_days(30).date()))
    refused("AccessDenied", S3.delete_object, **version)
    refused("AccessDenied", S3.delete_object, **version, BypassGovernanceRetention=True)
    refused("AccessDenied", retain, version=version, mode="COMPLIANCE", days=29, BypassGovernanceRetention=True)
    refused("AccessDenied", retain, version=version, mode="GOVERNANCE", days=31, BypassGovernanceRetention=True)
    refused("AccessDenied", S3.put_object_retention, **version, Retention={}, BypassGovernanceRetention=True)
    retain(version, "COMPLIANCE", 31)
    doomed = {"Objects": [{"Key": version["Key"], "VersionId": version["VersionId"]}]}
    expect([one["Code"] for one in S3.delete_objects(Bucket=BUCKET, Delete=doomed)["Errors"]], ["AccessDenied"])
    marker = S3.delete_object(Bucket=BUCKET, Key="strict")
    S3.delete_object(**named(marker, "strict"))
    expect(S3.get_object(**version)["Body"].read(), b"x")
    set_clock(in_days(32))
    S3.delete_object(**version)
    is_gone(version)
    set_clock(in_days(0))


@part
def governance():
    version = put("loose", "GOVERNANCE", 30)
    refused("AccessDenied", S3.delete_object, **version)
    refused("AccessDenied", retain, version=version, mode="GOVERNANCE", days=29)
    refused("AccessDenied", S3.put_object_retention, **version, Retention={})
    retain(version, "GOVERNANCE", 31)
    retain(version, "GOVERNANCE", 1, BypassGovernanceRetention=True)
    S3.put_object_retention(**version, Retention={}, BypassGovernanceRetention=True)
    refused("NoSuchObjectLockConfiguration", S3.get_object_retention, **version)
    retain(version, "GOVERNANCE", 30)
    S3.delete_object(**version, BypassGovernanceRetention=True)
    is_gone(version)
    hardened = put("loose", "GOVERNANCE", 1)
    retain(hardened, "COMPLIANCE", 1)
    refused("AccessDenied", S3.delete_object, **hardened, BypassGovernanceRetention=True)


@part
def uploads():
    lock = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": in_days(5)}
    upload = {"Bucket": BUCKET, "Key": "large"}
    upload["UploadId"] = S3.create_multipart_upload(**upload, **lock)["UploadId"]
    etag = S3.upload_part(**upload, PartNumber=1, Body=b"part")["ETag"]
    made = S3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    version = named(made, "large")
    expect(retention(version), ("COMPLIANCE", in_days(5).date()))
    refused("AccessDenied", S3.delete_object, **version)
    copied = named(S3.copy_object(Bucket=BUCKET, Key="copy", CopySource={"Bucket": BUCKET, "Key": "large"}), "copy")
    refused("NoSuchObjectLockConfiguration", S3.get_object_retention, **copied)


@part
def holds():
    version = named(S3.put_object(Bucket=BUCKET, Key="held", Body=b"", ObjectLockLegalHoldStatus="ON", ChecksumAlgorithm="SHA256"), "held")
    expect(S3.get_object_legal_hold(**version)["LegalHold"]["Status"], "ON")
    expect(S3.head_object(**version)["ObjectLockLegalHoldStatus"], "ON")
    refused("AccessDenied", S3.delete_object, **version, BypassGovernanceRetention=True)
    S3.put_object_legal_hold(**version, LegalHold={"Status": "OFF"})
    S3.delete_object(**version)
    is_gone(version)


@part
def defaults():
    rule = {"Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 7}}}
    configuration = {"ObjectLockEnabled": "Enabled", **rule}
    S3.put_object_lock_configuration(Bucket=BUCKET, ObjectLockConfiguration=configuration)
    expect(S3.get_object_lock_configuration(Bucket=BUCKET)["ObjectLockConfiguration"], configuration)
    version = named(S3.put_object(Bucket=BUCKET, Key="default", Body=b"", ChecksumAlgorithm="SHA256"), "default")
    expect(retention(version), ("GOVERNANCE", in_days(7).date()))
    expect(retention(put("own", "COMPLIANCE", 9)), ("COMPLIANCE", in_days(9).date()))
    copied = named(S3.copy_object(Bucket=BUCKET, Key="copy", CopySource={"Bucket": PLAIN, "Key": "x"}), "copy")
    expect(retention(copied), ("GOVERNANCE", in_days(7).date()))


run_parts()
