#!/usr/bin/env python3
"""Restores an archive of snap-to-s3 without snap-to-s3, from a directory that holds the objects of its bucket.

    restore.py list   DIRECTORY MANIFEST_KEY
    restore.py files  DIRECTORY MANIFEST_KEY TARGET [--partition N] [--path P]...
    restore.py image  DIRECTORY MANIFEST_KEY TARGET [--partition N]

An incremental archive (format 2) is restored by `image`. `list` shows the objects that it needs, which may belong to older snapshots.

Fetch the objects first: `aws s3 cp --recursive "s3://BUCKET/vol-xxx/" DIRECTORY/vol-xxx/`. It needs Python 3.9, GNU tar, and
the programs that the archive was made with: `lz4`, `zstd`, `gpg`. Written from docs/archive-format.md alone; MIT license.
"""
import argparse, base64, hashlib, json, os, subprocess, sys

LZ4_MAGIC, LZ4_HEADER, LZ4_END = bytes.fromhex("04224d18"), bytes.fromhex("04224d18607073"), bytes(4)
DECODERS = {"lz4": ["lz4", "-d", "-q", "-c"], "zstd": ["zstd", "-d", "-q", "-c"], "gpg": ["gpg", "--batch", "--quiet", "-d"]}
REASONS = {"gpg": "the private key is missing, or its passphrase is wrong"}
REASONS.update(dict.fromkeys(["lz4", "zstd"], "the object is damaged"))
SOME = 1 << 20


def decode(data, steps):
    for step in steps:
        done = subprocess.run(DECODERS[step], input=data, stdout=subprocess.PIPE)
        if done.returncode != 0:
            sys.exit(f"{step} failed, see above: {REASONS[step]}")
        data = done.stdout
    return data


def small(directory, key):
    with open(os.path.join(directory, key), "rb") as file:
        return file.read()


def load_manifest(directory, key):
    if not os.path.exists(os.path.join(directory, key)):
        sys.exit(f"{key} does not exist: without a manifest, an archive is unfinished or was written by version 0")
    manifest = json.loads(small(directory, key))
    if manifest["format"] not in (1, 2):
        sys.exit(f"unsupported manifest format {manifest['format']}")
    return json.loads(decode(base64.b64decode(manifest["sealed"]), ["gpg"])) if manifest.get("sealed") else manifest


def refuse_incomplete(directory, objects):
    for item in objects:
        path = os.path.join(directory, item["key"])
        found = os.path.getsize(path) if os.path.exists(path) else "none"
        if found != item["storedBytes"]:
            sys.exit(f"the archive is incomplete: {item['key']} should have {item['storedBytes']} bytes; found: {found}")


def load_index(directory, item):
    steps = ["gpg", "zstd"] if item["cipher"] == "gpg" else ["zstd"]
    lines = [json.loads(line) for line in decode(small(directory, item["index"]["key"]), steps).splitlines()]
    if lines[0]["format"] != 1:
        sys.exit(f"unsupported index format {lines[0]['format']}")
    return lines


def whole_stream(directory, item):
    """Yields the whole plain stream in chunks, and fails unless every decoder exits with 0."""
    source, stages = open(os.path.join(directory, item["key"]), "rb"), []
    for step in (["gpg"] if item["cipher"] == "gpg" else []) + [item["codec"]]:
        stages.append(subprocess.Popen(DECODERS[step], stdin=source, stdout=subprocess.PIPE))
        source = stages[-1].stdout
    while chunk := source.read(SOME):
        yield chunk
    failed = [stage.args[0] for stage in stages if stage.wait() != 0]
    if failed:
        sys.exit(f"{failed[0]} failed, see above: {REASONS[failed[0]]}")


def some_pieces(directory, item, pieces, spans):
    """Yields (position in the plain stream, bytes) of the pieces that contain a span. Reads nothing else of the object."""
    with open(os.path.join(directory, item["key"]), "rb") as file:
        for here, there in zip(pieces, pieces[1:]):
            if any(start < there["plain"] and end > here["plain"] for start, end in spans):
                file.seek(here["stored"])
                stored = file.read(there["stored"] - here["stored"])
                if item["codec"] == "lz4" and not stored.startswith(LZ4_MAGIC):
                    stored = LZ4_HEADER + stored + LZ4_END
                yield here["plain"], decode(stored, [item["codec"]])


def with_places(chunks):
    place = 0
    for chunk in chunks:
        yield place, chunk
        place += len(chunk)


def cut(placed, spans):
    """Yields (number of the span, bytes) for all spans, from chunks in ascending order."""
    number = 0
    for place, chunk in placed:
        while number < len(spans) and spans[number][0] < place + len(chunk):
            start, end = spans[number]
            yield number, chunk[max(start - place, 0):end - place]
            if end > place + len(chunk):
                break
            number += 1


def name_of(member):
    path = base64.b64decode(member["pathBase64"]) if "pathBase64" in member else member["path"].encode()
    return os.path.normpath(path)


def restore_files(directory, item, target, paths):
    """Cuts the requested members out of the tar, passes them to tar, and fails if any of them differs from the index."""
    lines = load_index(directory, item)
    members = [line for line in lines if "span" in line]
    wanted = [os.path.normpath(os.fsencode(path).lstrip(b"/")) for path in paths]
    is_below = lambda name, path: name == path or name.startswith(path + b"/")
    chosen = [member for member in members if not paths or any(is_below(name_of(member), path) for path in wanted)]
    missing = [os.fsdecode(path) for path in wanted if not any(is_below(name_of(member), path) for member in chosen)]
    if missing:
        sys.exit(f"the archive has no {', '.join(missing)}; nothing was restored")
    spans, pieces = [member["span"] for member in chosen], [line["piece"] for line in lines if "piece" in line]
    placed = some_pieces(directory, item, pieces, spans) if pieces else with_places(whole_stream(directory, item))
    os.makedirs(target, exist_ok=True)
    # Without --acls: the extended attributes have the ACLs by number, their texts by the names of another machine.
    flags = ["--numeric-owner", "--same-permissions", "--xattrs", "--xattrs-include=*", "--directory", target]
    tar = subprocess.Popen(["tar", "--extract", *flags], stdin=subprocess.PIPE)
    hashes, rests = [hashlib.sha256() for _ in chosen], [end - start for start, end in spans]
    for number, chunk in cut(placed, spans):
        tar.stdin.write(chunk)
        # The data follow the headers: `data` bytes, then zeros up to a multiple of 512.
        data = chosen[number].get("data", 0)
        behind_headers = -(-data // 512) * 512
        skip, rests[number] = max(rests[number] - behind_headers, 0), rests[number] - len(chunk)
        padding = max(behind_headers - data - rests[number], 0)
        hashes[number].update(chunk[skip:len(chunk) - padding])
    tar.stdin.write(bytes(1024))
    tar.stdin.close()
    bad = [m for m, h in zip(chosen, hashes) if "sha256" in m and h.hexdigest() != m["sha256"]]
    if tar.wait() != 0 or bad or any(rests):
        sys.exit(f"restored files differ from the index: {[name_of(member) for member in bad[:5]]}")
    print(f"restored {len(chosen)} of {len(members)} members")


def restore_image(directory, item, target):
    lines = load_index(directory, item) if item.get("index") else [{"blockBytes": 524288}]
    size, known, place = lines[0]["blockBytes"], {x["blocks"][0]: x["sha256"] for x in lines if "sha256" in x}, 0
    with open(target, "wb") as file:
        rest = b""
        for chunk in whole_stream(directory, item):
            rest += chunk
            while len(rest) >= size:
                block, rest = rest[:size], rest[size:]
                place += write_block(file, place, block, known.get(place // size))
        place += write_block(file, place, rest, known.get(place // size)) if rest else 0
        file.truncate(place)
    if place != item["plainBytes"]:
        sys.exit(f"the image has {place} bytes instead of {item['plainBytes']}")
    print(f"restored {place} bytes")


def load_lines(directory, key, cipher, layout):
    lines = [json.loads(line) for line in decode(small(directory, key), ["gpg", "zstd"] if cipher == "gpg" else ["zstd"]).splitlines()]
    if (lines[0]["format"], lines[0]["layout"]) != (2, layout) or "end" not in lines[-1]:
        sys.exit(f"{key} is damaged")
    return lines


def packs_of(directory, point):
    """Yields (number of the generation, pack, its blocks) for the generations of a point."""
    for number, generation in enumerate(point["generations"]):
        packs = []
        for line in load_lines(directory, generation["blocks"]["key"], point["cipher"], "blocks"):
            if "pack" in line:
                packs.append((number, line["pack"], []))
            elif "block" in line:
                packs[-1][2].append(line)
        yield from packs


def needed_packs(directory, point):
    """Yields (pack, its blocks, those that the point needs), and fails unless there is a pack for every block of the map."""
    wanted = {}
    for line in load_lines(directory, point["map"]["key"], point["cipher"], "map"):
        if "in" in line:
            wanted.update(dict.fromkeys(range(*line["blocks"]), line["in"]))
    for number, pack, blocks in packs_of(directory, point):
        needed = {line["block"] for line in blocks if wanted.get(line["block"]) == number}
        if needed:
            yield pack, blocks, needed
            for block in needed:
                del wanted[block]
    if wanted:
        sys.exit(f"the map is damaged: no pack holds block {min(wanted)}")


def restore_point(directory, manifest, target):
    size, count, point = 524288, 0, manifest["point"]
    with open(target, "wb") as file:
        for pack, blocks, needed in needed_packs(directory, point):
            refuse_incomplete(directory, [{"key": pack["key"], "storedBytes": pack["bytes"]}])
            rest, found = b"", iter(blocks)
            for chunk in whole_stream(directory, pack):
                rest += chunk
                while len(rest) >= size:
                    line, block, rest = next(found, None), rest[:size], rest[size:]
                    if line is None:
                        sys.exit(f"{pack['key']} holds more blocks than its block list")
                    if line["block"] in needed:
                        write_block(file, line["block"] * size, block, line["sha256"])
                        count += 1
            line = next(found, None)
            if line and line["block"] in needed:
                write_block(file, line["block"] * size, rest, line["sha256"])
                count += 1
        file.truncate(manifest["disk"]["bytes"])
    if count != sum(generation["used"] for generation in point["generations"]):
        sys.exit(f"{count} blocks were restored, which is another number than in the manifest")
    print(f"restored {manifest['disk']['bytes']} bytes, {count} blocks of them with data")


def write_block(file, place, block, sha256):
    if sha256 and hashlib.sha256(block).digest() != base64.b64decode(sha256):
        sys.exit(f"the block at byte {place} differs from the index")
    if block.count(0) != len(block):
        file.seek(place)
        file.write(block)
    return len(block)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["list", "files", "image"])
    for name in ("directory", "manifest"):
        parser.add_argument(name)
    parser.add_argument("target", nargs="?")
    parser.add_argument("--partition", type=int)
    parser.add_argument("--path", action="append", default=[])
    args = parser.parse_args()
    manifest = load_manifest(args.directory, args.manifest)
    if manifest["format"] == 2:
        if args.command == "list":
            for pack, _, needed in needed_packs(args.directory, manifest["point"]):
                print(f"{pack['key']}: {len(needed)} blocks, {pack['bytes']} bytes")
        elif args.command == "image" and args.target:
            restore_point(args.directory, manifest, args.target)
        else:
            sys.exit("an incremental archive is an image of a disk: use `image` with TARGET")
        return
    objects = manifest["objects"]
    refuse_incomplete(args.directory, objects)
    if args.command == "list":
        for item in objects:
            print(f"{item['key']}: partition {item['partition']}, {item['filesystem']}, {item['plainBytes']} bytes")
        return
    layout = "tar" if args.command == "files" else "image"
    fitting = [item for item in objects if item["layout"] == layout and args.partition in (None, item["partition"])]
    if len(fitting) != 1 or not args.target:
        sys.exit(f"specify TARGET and --partition: {len(fitting)} objects match")
    if args.command == "files":
        restore_files(args.directory, fitting[0], args.target, args.path)
    else:
        restore_image(args.directory, fitting[0], args.target)


try:
    main()
except OSError as error:
    sys.exit(f"{error.filename or 'tar'}: {error.strerror}")
except (ValueError, KeyError, TypeError, IndexError) as error:
    sys.exit(f"the manifest or the index is damaged: {type(error).__name__}: {error}")
except KeyboardInterrupt:
    sys.exit(130)
