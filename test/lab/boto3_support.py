"""Clients of the lab, and assertions. The first argument of the program has the endpoints as JSON."""

import json
import sys
import urllib.request
from datetime import datetime, timedelta, timezone

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINTS = json.loads(sys.argv[1])
PARTS = []
ONE_TRY = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})


def client(service):
    return boto3.client(service, endpoint_url=ENDPOINTS[service], region_name="us-east-1", config=ONE_TRY)


def expect(actual, wanted):
    if actual != wanted:
        raise AssertionError(f"{actual!r} instead of {wanted!r}")


def refused(code, call, **arguments):
    """Returns the response, which has an error with this code."""
    try:
        answer = call(**arguments)
    except ClientError as error:
        expect(error.response["Error"]["Code"], code)
        return error.response
    raise AssertionError(f"{call} was answered: {answer}")


def in_days(count):
    return (datetime.now(timezone.utc) + timedelta(days=count)).replace(microsecond=0)


def set_clock(time):
    """Sets the clock of the lab. Returns what the lifecycle rules did then."""
    body = json.dumps({"time": time.isoformat()}).encode()
    request = urllib.request.Request(ENDPOINTS["control"] + "/clock", data=body, method="PUT")
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def part(function):
    """Marks a function as a part that `run_parts` runs."""
    PARTS.append(function)
    return function


def run_parts():
    for function in PARTS:
        function()
        print(function.__name__)
