"""Uses lifecycle rules of the lab with boto3.

Arguments: the endpoints as JSON, and the name of a bucket. Prints one line for each part that passed.
"""

import sys

from boto3_support import client, expect, in_days, part, refused, run_parts, set_clock

PLAIN = sys.argv[2]
S3 = client("s3")


def rule(name, prefix="", **actions):
    return {"ID": name, "Status": "Enabled", "Filter": {"Prefix": prefix}, **actions}


def set_rules(bucket, *rules):
    S3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": list(rules)})


def put(bucket, key, body=b"", **more):
    return S3.put_object(Bucket=bucket, Key=key, Body=body, **more).get("VersionId")


def keys(bucket):
    return [one["Key"] for one in S3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def done(days):
    return sorted((one["kind"], one["key"]) for one in set_clock(in_days(days)))


def versioned(bucket, **more):
    S3.create_bucket(Bucket=bucket, **more)
    S3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


def versions(bucket):
    found = S3.list_object_versions(Bucket=bucket)
    return [one["VersionId"] for one in found.get("Versions", [])], len(found.get("DeleteMarkers", []))


@part
def configuration():
    refused("NoSuchLifecycleConfiguration", S3.get_bucket_lifecycle_configuration, Bucket=PLAIN)
    rules = [rule("a", "logs/", Expiration={"Days": 3}), rule("b", AbortIncompleteMultipartUpload={"DaysAfterInitiation": 2})]
    set_rules(PLAIN, *rules)
    expect(S3.get_bucket_lifecycle_configuration(Bucket=PLAIN)["Rules"], rules)
    for code, wrong in [
        ("InvalidArgument", [rule("a", Expiration={"Days": 0})]),
        ("InvalidArgument", [rules[0], rules[0]]),
        ("InvalidArgument", [rule("a", Expiration={"Date": "2030-01-01T01:00:00Z"})]),
        ("MalformedXML", [rule("a")]),
        ("MalformedXML", [{**rules[0], "Status": "On"}]),
        ("MalformedXML", []),
    ]:
        configuration = {"Rules": wrong}
        refused(code, S3.put_bucket_lifecycle_configuration, Bucket=PLAIN, LifecycleConfiguration=configuration)
    expect(S3.get_bucket_lifecycle_configuration(Bucket=PLAIN)["Rules"], rules)
    S3.delete_bucket_lifecycle(Bucket=PLAIN)
    refused("NoSuchLifecycleConfiguration", S3.get_bucket_lifecycle_configuration, Bucket=PLAIN)


@part
def expiration():
    off = {**rule("off", Expiration={"Days": 1}), "Status": "Disabled"}
    tagged = {"ID": "tags", "Status": "Enabled", "Filter": {"And": {"Prefix": "t", "Tags": [{"Key": "a", "Value": "1"}]}}, "Expiration": {"Days": 1}}
    large = {"ID": "large", "Status": "Enabled", "Filter": {"ObjectSizeGreaterThan": 5}, "Expiration": {"Days": 20}}
    dated = rule("date", "dated", Expiration={"Date": in_days(40).replace(hour=0, minute=0, second=0)})
    set_rules(PLAIN, rule("logs", "logs/", Expiration={"Days": 3}), off, tagged, large, dated)
    for key in "dated", "logs/1", "other", "t1", "t2":
        put(PLAIN, key, Tagging="a=1" if key == "t1" else "")
    put(PLAIN, "large", b"123456")
    expect(done(0), [])
    expect(done(2), [("object-deleted", "t1")])
    expect(done(4), [("object-deleted", "logs/1")])
    expect(done(21), [("object-deleted", "large")])
    expect(done(41), [("object-deleted", "dated")])
    expect((done(400), keys(PLAIN)), ([], ["other", "t2"]))
    set_clock(in_days(0))


@part
def uploads():
    set_rules(PLAIN, rule("abort", "a", AbortIncompleteMultipartUpload={"DaysAfterInitiation": 2}))
    begun = [S3.create_multipart_upload(Bucket=PLAIN, Key=key) for key in ("a", "b")]
    expect((done(1), done(4)), ([], [("upload-aborted", "a")]))
    refused("NoSuchUpload", S3.upload_part, Bucket=PLAIN, Key="a", UploadId=begun[0]["UploadId"], PartNumber=1, Body=b"")
    S3.abort_multipart_upload(Bucket=PLAIN, Key="b", UploadId=begun[1]["UploadId"])
    set_clock(in_days(0))


@part
def noncurrent():
    versioned("versioned")
    old = {"NoncurrentDays": 10, "NewerNoncurrentVersions": 1}
    set_rules("versioned", rule("all", Expiration={"Days": 5}, NoncurrentVersionExpiration=old))
    made = [put("versioned", "key", bytes([number])) for number in range(3)]
    expect(done(4), [])
    expect(done(7), [("marker-added", "key")])
    expect((keys("versioned"), versions("versioned")), ([], (made[::-1], 1)))
    expect(done(12), [("version-deleted", "key"), ("version-deleted", "key")])
    expect((done(18), versions("versioned")), ([], ([made[2]], 1)))
    set_rules("versioned", rule("all", NoncurrentVersionExpiration={"NoncurrentDays": 10}), rule("markers", Expiration={"ExpiredObjectDeleteMarker": True}))
    expect(done(19), [("marker-deleted", "key"), ("version-deleted", "key")])
    expect(versions("versioned"), ([], 0))
    set_clock(in_days(0))


@part
def locks():
    versioned("locked", ObjectLockEnabledForBucket=True)
    set_rules("locked", rule("all", Expiration={"Days": 1}, NoncurrentVersionExpiration={"NoncurrentDays": 1}))
    lock = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": in_days(30), "ChecksumAlgorithm": "SHA256"}
    kept, free = put("locked", "kept", **lock), put("locked", "free")
    expect(done(3), [("marker-added", "free"), ("marker-added", "kept")])
    expect(done(10), [("marker-deleted", "free"), ("version-deleted", "free")])
    expect(versions("locked"), ([kept], 1))
    expect(done(40), [("marker-deleted", "kept"), ("version-deleted", "kept")])
    expect(free == kept, False)


run_parts()
