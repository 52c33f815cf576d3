"""Uses versions of objects in the lab with boto3.

Arguments: the endpoints as JSON, and the name of a bucket. Prints one line for each part that passed.
"""

import sys

from boto3_support import client, expect, part, refused, run_parts

BUCKET = sys.argv[2]
S3 = client("s3")


def put(key, body, **more):
    return S3.put_object(Bucket=BUCKET, Key=key, Body=body, **more)


def body_of(key, **more):
    return S3.get_object(Bucket=BUCKET, Key=key, **more)["Body"].read()


def header(answer, name):
    return answer["ResponseMetadata"]["HTTPHeaders"].get(name)


def versions(prefix=""):
    """Lists (key, version, whether it is the latest, whether it is a marker) in the order of each page."""
    found = []
    for page in S3.get_paginator("list_object_versions").paginate(Bucket=BUCKET, Prefix=prefix):
        listed = [(one, False) for one in page.get("Versions", [])] + [(one, True) for one in page.get("DeleteMarkers", [])]
        found += [(one["Key"], one["VersionId"], one["IsLatest"], is_marker) for one, is_marker in listed]
    return found


def keys():
    return [one["Key"] for page in S3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET) for one in page.get("Contents", [])]


@part
def unversioned():
    expect(S3.get_bucket_versioning(Bucket=BUCKET).get("Status"), None)
    made = put("old", b"before")
    expect((made.get("VersionId"), S3.head_object(Bucket=BUCKET, Key="old").get("VersionId")), (None, None))
    expect(versions(), [("old", "null", True, False)])
    expect(body_of("old", VersionId="null"), b"before")
    refused("NoSuchVersion", S3.get_object, Bucket=BUCKET, Key="old", VersionId="0" * 32)


@part
def enabled():
    S3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    first = put("old", b"after", Tagging="a=1")["VersionId"]
    second = put("old", b"latest")["VersionId"]
    expect(len({first, second, "null"}), 3)
    expect(versions(), [("old", second, True, False), ("old", first, False, False), ("old", "null", False, False)])
    expect([body_of("old", **more) for more in ({}, {"VersionId": first}, {"VersionId": "null"})], [b"latest", b"after", b"before"])
    head = S3.head_object(Bucket=BUCKET, Key="old", VersionId=first)
    expect((head["VersionId"], head["ContentLength"]), (first, 5))
    expect(S3.get_object_tagging(Bucket=BUCKET, Key="old", VersionId=first)["TagSet"], [{"Key": "a", "Value": "1"}])
    S3.put_object_tagging(Bucket=BUCKET, Key="old", VersionId=first, Tagging={"TagSet": []})
    expect(S3.get_object_tagging(Bucket=BUCKET, Key="old", VersionId=first)["TagSet"], [])
    expect(keys(), ["old"])


@part
def markers():
    deleted = S3.delete_object(Bucket=BUCKET, Key="old")
    marker = deleted["VersionId"]
    expect(deleted["DeleteMarker"], True)
    expect((keys(), len(versions()), ("old", marker, True, True) in versions()), ([], 4, True))
    for call, code in (S3.get_object, "NoSuchKey"), (S3.head_object, "404"):
        answer = refused(code, call, Bucket=BUCKET, Key="old")
        expect((header(answer, "x-amz-delete-marker"), header(answer, "x-amz-version-id")), ("true", marker))
    refused("MethodNotAllowed", S3.get_object, Bucket=BUCKET, Key="old", VersionId=marker)
    source = {"Bucket": BUCKET, "Key": "old"}
    refused("NoSuchKey", S3.copy_object, Bucket=BUCKET, Key="copy", CopySource=source)
    refused("InvalidRequest", S3.copy_object, Bucket=BUCKET, Key="copy", CopySource={**source, "VersionId": marker})
    copied = S3.copy_object(Bucket=BUCKET, Key="copy", CopySource={**source, "VersionId": "null"})
    expect((copied["CopySourceVersionId"], body_of("copy", VersionId=copied["VersionId"])), ("null", b"before"))
    created = put("old", b"again")["VersionId"]
    S3.delete_object(Bucket=BUCKET, Key="old", VersionId=created)
    gone = S3.delete_object(Bucket=BUCKET, Key="old", VersionId=marker)
    expect((gone["DeleteMarker"], gone["VersionId"], body_of("old")), (True, marker, b"latest"))


@part
def many():
    latest = [one[1] for one in versions("old") if one[2]][0]
    doomed = [{"Key": "old", "VersionId": latest}, {"Key": "old", "VersionId": "0" * 32}, {"Key": "copy"}]
    answer = S3.delete_objects(Bucket=BUCKET, Delete={"Objects": doomed})
    markers = [one.get("DeleteMarkerVersionId") for one in answer["Deleted"]]
    expect((len(answer["Deleted"]), markers[:2], answer["Deleted"][2]["DeleteMarker"]), (3, [None, None], True))
    expect(body_of("old"), b"after")
    expect("Deleted" in S3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "copy", "VersionId": markers[2]}], "Quiet": True}), False)
    expect(body_of("copy"), b"before")


@part
def uploads():
    begun = S3.create_multipart_upload(Bucket=BUCKET, Key="large")
    object = {"Bucket": BUCKET, "Key": "large", "UploadId": begun["UploadId"]}
    etag = S3.upload_part(**object, PartNumber=1, Body=b"part")["ETag"]
    between = put("large", b"between")["VersionId"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    made = S3.complete_multipart_upload(**object, MultipartUpload=parts)["VersionId"]
    put("large", b"later")
    expect(S3.complete_multipart_upload(**object, MultipartUpload=parts)["VersionId"], made)
    expect([one[1] for one in versions("large")][1:], [made, between])
    expect(body_of("large", VersionId=made), b"part")


@part
def pages():
    for name in "a/1", "a/2", "b":
        for body in b"1", b"2", b"3":
            put(f"page/{name}", body)
    listed = versions("page/")
    expect([(key, latest) for key, _, latest, _ in listed], [(f"page/{name}", latest) for name in ("a/1", "a/2", "b") for latest in (True, False, False)])
    grouped = S3.list_object_versions(Bucket=BUCKET, Prefix="page/", Delimiter="/", MaxKeys=1)
    expect(([one["Prefix"] for one in grouped["CommonPrefixes"]], grouped["IsTruncated"]), (["page/a/"], True))
    rest = S3.list_object_versions(Bucket=BUCKET, Prefix="page/", Delimiter="/", KeyMarker=grouped["NextKeyMarker"])
    expect([one["Key"] for one in rest["Versions"]], ["page/b"] * 2)
    after = S3.list_object_versions(Bucket=BUCKET, Prefix="page/", KeyMarker="page/a/2")
    expect({one["Key"] for one in after["Versions"]}, {"page/b"})


@part
def suspended():
    S3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})
    kept = len(versions("old"))
    expect([put("old", body)["VersionId"] for body in (b"x", b"y")], ["null", "null"])
    expect((len(versions("old")), body_of("old", VersionId="null")), (kept, b"y"))
    deleted = S3.delete_object(Bucket=BUCKET, Key="old")
    expect((deleted["VersionId"], deleted["DeleteMarker"], len(versions("old"))), ("null", True, kept))
    refused("BucketNotEmpty", S3.delete_bucket, Bucket=BUCKET)
    doomed = [{"Key": key, "VersionId": version} for key, version, _, _ in versions()]
    expect(len(S3.delete_objects(Bucket=BUCKET, Delete={"Objects": doomed})["Deleted"]), len(doomed))
    expect(versions(), [])
    S3.delete_bucket(Bucket=BUCKET)


run_parts()
