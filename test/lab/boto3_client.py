"""Uses the lab with boto3, which shares no code with the SDK for JavaScript and has its own models of responses.

Arguments: the endpoints as JSON, and the name of a bucket. Prints one line for each part that passed.
"""

import base64
import hashlib
import io
import os
import sys

from boto3.s3.transfer import TransferConfig
from boto3_support import client, expect, refused

BUCKET = sys.argv[2]
MIB = 2**20

S3, EC2, EBS = client("s3"), client("ec2"), client("ebs")


def body_of(key):
    return S3.get_object(Bucket=BUCKET, Key=key)["Body"].read()


def crc64nvme(data):
    """The CRC is reflected, has the polynomial 0xad93d23594c93659, and is inverted before and after."""
    value = 0xFFFFFFFFFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x9A6C9329AC4BC9B5 if value & 1 else 0)
    return base64.b64encode((value ^ 0xFFFFFFFFFFFFFFFF).to_bytes(8, "big")).decode()


def objects():
    put = S3.put_object(Bucket=BUCKET, Key="a b/ü+", Body=b"hello", Metadata={"name": "value"}, Tagging="k=v")
    expect(put["ServerSideEncryption"], "AES256")
    got = S3.get_object(Bucket=BUCKET, Key="a b/ü+", ResponseContentType="text/plain")
    expect((got["Body"].read(), got["ServerSideEncryption"], got["ContentType"]), (b"hello", "AES256", "text/plain"))
    S3.get_waiter("object_exists").wait(Bucket=BUCKET, Key="a b/ü+", WaiterConfig={"Delay": 0})
    S3.put_object(Bucket=BUCKET, Key="framed", Body=b"x", ContentEncoding="aws-chunked,gzip")
    expect(S3.head_object(Bucket=BUCKET, Key="framed")["ContentEncoding"], "gzip")
    S3.put_object(Bucket=BUCKET, Key="framed", Body=b"x", ContentEncoding="aws-chunked")
    expect("ContentEncoding" in S3.head_object(Bucket=BUCKET, Key="framed"), False)
    kms = S3.put_object(Bucket=BUCKET, Key="kms", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId="key-1")
    expect((kms["ServerSideEncryption"], kms["SSEKMSKeyId"]), ("aws:kms", "key-1"))
    S3.delete_object(Bucket=BUCKET, Key="kms")
    S3.get_waiter("object_not_exists").wait(Bucket=BUCKET, Key="kms", WaiterConfig={"Delay": 0})


def copies():
    source = {"Bucket": BUCKET, "Key": "a b/ü+"}
    copied = S3.copy_object(Bucket=BUCKET, Key="copy", CopySource=source)["CopyObjectResult"]
    expect(copied["ETag"], f'"{hashlib.md5(b"hello").hexdigest()}"')
    head = S3.head_object(Bucket=BUCKET, Key="copy")
    expect((body_of("copy"), head["Metadata"], head["ServerSideEncryption"]), (b"hello", {"name": "value"}, "AES256"))
    expect(S3.get_object_tagging(Bucket=BUCKET, Key="copy")["TagSet"], [{"Key": "k", "Value": "v"}])
    replace = {"MetadataDirective": "REPLACE", "TaggingDirective": "REPLACE", "Metadata": {"other": "1"}}
    S3.copy_object(Bucket=BUCKET, Key="copy", CopySource=source, StorageClass="GLACIER", **replace)
    head = S3.head_object(Bucket=BUCKET, Key="copy")
    expect((head["Metadata"], head["StorageClass"], head.get("TagCount")), ({"other": "1"}, "GLACIER", None))
    frozen = {"Bucket": BUCKET, "Key": "copy"}
    refused("ObjectNotInActiveTierError", S3.copy_object, Bucket=BUCKET, Key="b", CopySource=frozen)
    refused("InvalidRequest", S3.copy_object, Bucket=BUCKET, Key="a b/ü+", CopySource=source)
    refused("NoSuchKey", S3.copy_object, Bucket=BUCKET, Key="b", CopySource={"Bucket": BUCKET, "Key": "none"})
    refused("PreconditionFailed", S3.copy_object, Bucket=BUCKET, Key="b", CopySource=source, CopySourceIfMatch='"0"')


def transfers():
    data = os.urandom(11 * MIB + 17)
    parts = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
    S3.upload_fileobj(io.BytesIO(data), BUCKET, "large", Config=parts, ExtraArgs={"ChecksumAlgorithm": "CRC32"})
    S3.copy({"Bucket": BUCKET, "Key": "large"}, BUCKET, "large copy", Config=parts)
    for key in "large", "large copy":
        target = io.BytesIO()
        S3.download_fileobj(BUCKET, key, target, Config=parts)
        expect(target.getvalue() == data, True)
    asked = {"Bucket": BUCKET, "Key": "large", "ObjectAttributes": ["ObjectParts", "ObjectSize", "ETag"]}
    told = S3.get_object_attributes(**asked)
    expect((told["ObjectSize"], told["ObjectParts"]["TotalPartsCount"]), (len(data), 3))
    more = S3.get_object_attributes(**asked, PartNumberMarker=told["ObjectParts"]["NextPartNumberMarker"])
    expect([told["ObjectParts"]["IsTruncated"], more["ObjectParts"]["IsTruncated"]], [True, False])
    listed = told["ObjectParts"]["Parts"] + more["ObjectParts"]["Parts"]
    expect([part["Size"] for part in listed], [5 * MIB, 5 * MIB, MIB + 17])
    expect(all("ChecksumCRC32" in part for part in listed), True)


def crc64():
    """This version of botocore does not support CRC64NVME, so the header is added by hand."""
    given = {}
    S3.meta.events.register("before-call.s3.PutObject", lambda params, **_: params["headers"].update(given))
    given["x-amz-checksum-crc64nvme"] = crc64nvme(b"hello")
    S3.put_object(Bucket=BUCKET, Key="crc64", Body=b"hello")
    refused("BadDigest", S3.put_object, Bucket=BUCKET, Key="crc64", Body=b"hullo")
    given.clear()
    expect(body_of("crc64"), b"hello")


def pages():
    keys = [f"page/{number}" for number in range(5)]
    for key in keys:
        S3.put_object(Bucket=BUCKET, Key=key, Body=b"")
    found = S3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="page/")
    listed = [[each["Key"] for each in page["Contents"]] for page in found]
    expect((sum(listed, []), len(listed)), (keys, 3))
    uploads = [S3.create_multipart_upload(Bucket=BUCKET, Key=f"upload {number}") for number in range(3)]
    expect(uploads[0]["ServerSideEncryption"], "AES256")
    ids = [one["UploadId"] for page in S3.get_paginator("list_multipart_uploads").paginate(Bucket=BUCKET) for one in page["Uploads"]]
    expect(ids, [one["UploadId"] for one in uploads])
    first = {"Bucket": BUCKET, "Key": "upload 0", "UploadId": ids[0]}
    for number in range(1, 4):
        S3.upload_part(**first, PartNumber=number, Body=bytes([number]))
    copied = S3.upload_part_copy(**first, PartNumber=4, CopySource={"Bucket": BUCKET, "Key": "large"}, CopySourceRange="bytes=1-7")
    expect(len(copied["CopyPartResult"]["ETag"]), 34)
    parts = [one for page in S3.get_paginator("list_parts").paginate(**first) for one in page["Parts"]]
    expect([(one["PartNumber"], one["Size"]) for one in parts], [(1, 1), (2, 1), (3, 1), (4, 7)])
    for one in uploads:
        S3.abort_multipart_upload(Bucket=BUCKET, Key=one["Key"], UploadId=one["UploadId"])


def unimplemented():
    """Unsupported operations and parameters are refused, and not mistaken for others."""
    key = {"Bucket": BUCKET, "Key": "copy"}
    for call, arguments in [
        (S3.get_object_acl, key),
        (S3.put_object, {**key, "Body": b"", "ACL": "public-read"}),
        (S3.put_object, {**key, "Body": b"", "WebsiteRedirectLocation": "/"}),
        (S3.get_object, {**key, "SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}),
        (S3.get_bucket_policy, {"Bucket": BUCKET}),
        (S3.get_object_torrent, key),
        (S3.select_object_content, {**key, "Expression": "x", "ExpressionType": "SQL", "InputSerialization": {}, "OutputSerialization": {}}),
    ]:
        refused("NotImplemented", call, **arguments)
    refused("InvalidAction", EC2.describe_vpcs)
    refused("MissingParameter", EC2.create_volume, AvailabilityZone="us-east-1a")


def blocks():
    block = {"DataLength": 512 * 1024, "ChecksumAlgorithm": "SHA256"}
    data = [os.urandom(512 * 1024) for _ in range(3)]

    def write(indexes, **start):
        made = EBS.start_snapshot(VolumeSize=1, ClientToken=os.urandom(8).hex(), **start)["SnapshotId"]
        for at in indexes:
            checksum = base64.b64encode(hashlib.sha256(data[at]).digest()).decode()
            EBS.put_snapshot_block(SnapshotId=made, BlockIndex=at, BlockData=data[at], Checksum=checksum, **block)
        EBS.complete_snapshot(SnapshotId=made, ChangedBlocksCount=len(indexes))
        EC2.get_waiter("snapshot_completed").wait(SnapshotIds=[made], WaiterConfig={"Delay": 0})
        return made

    first = write([0, 1], Description="über", Tags=[{"Key": "Name", "Value": "a"}])
    second = write([2], ParentSnapshotId=first)
    listed, token = [], {}
    while token is not None:
        page = EBS.list_snapshot_blocks(SnapshotId=second, **token)
        listed += page["Blocks"]
        token = {"NextToken": page["NextToken"]} if page.get("NextToken") else None
    expect([one["BlockIndex"] for one in listed], [0, 1, 2])
    for one in listed:
        got = EBS.get_snapshot_block(SnapshotId=second, BlockIndex=one["BlockIndex"], BlockToken=one["BlockToken"])
        expect(got["BlockData"].read() == data[one["BlockIndex"]], True)
    changed = EBS.list_changed_blocks(FirstSnapshotId=first, SecondSnapshotId=second)["ChangedBlocks"]
    expect([one["BlockIndex"] for one in changed], [2])
    refused("ValidationException", EBS.start_snapshot, VolumeSize=65537, ClientToken="too-large")
    found = [one for page in EC2.get_paginator("describe_snapshots").paginate(OwnerIds=["self"]) for one in page["Snapshots"]]
    expect(sorted(one["SnapshotId"] for one in found), sorted([first, second]))
    expect([one["Description"] for one in found if one["SnapshotId"] == first], ["über"])
    volume = EC2.create_volume(AvailabilityZone="us-east-1a", SnapshotId=second)["VolumeId"]
    EC2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig={"Delay": 0})
    EC2.delete_volume(VolumeId=volume)
    EC2.get_waiter("volume_deleted").wait(VolumeIds=[volume], WaiterConfig={"Delay": 0})


for part in objects, copies, transfers, crc64, pages, unimplemented, blocks:
    part()
    print(part.__name__)
