"""A bucket of made keys, which answers listings as S3 does, without a server."""

from __future__ import annotations

import datetime as dt
import threading
import time
from bisect import bisect_left, bisect_right

CHANGED = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.timezone.utc)


class Numbered:
    """So many keys, in the order of their bytes, each made as it is asked for."""

    def __init__(self, count, name="%03d/%03d/photo%09d.jpg"):
        self._count, self._name = count, name

    def __len__(self):
        return self._count

    def __getitem__(self, n):
        return self._name % (n // 10**6, n // 1000 % 1000, n)


class MadeBucket:
    """In place of s3fs: ``keys`` is a sequence in the order of the keys' bytes."""

    def __init__(self, keys, *, delay_s=0.0, fails_at=None, page=1000):
        self._keys, self._delay_s, self._fails_at, self._size = keys, delay_s, fails_at, page
        self._lock = threading.Lock()
        self.requests = self.together = self._running = 0
        self.prefixes = set()

    def call_s3(self, method, **asked):
        assert method == "list_objects_v2"
        with self._lock:
            self.requests += 1
            self.prefixes.add(asked.get("Prefix", ""))
            self._running += 1
            self.together = max(self.together, self._running)
            if self.requests == self._fails_at:
                raise OSError("the line was cut")
        time.sleep(self._delay_s)
        try:
            return self._page(**asked)
        finally:
            with self._lock:
                self._running -= 1

    def call(self, method, path, bucket, *, json_out, **asked):
        """In place of gcsfs, as Google's JSON answers."""
        assert (method, path, json_out) == ("GET", "b/{}/o", True)
        page = self.call_s3(
            "list_objects_v2",
            Bucket=bucket,
            Prefix=asked["prefix"] or "",
            Delimiter=asked["delimiter"] or "",
            ContinuationToken=asked["pageToken"] or "",
            StartAfter=asked["startOffset"] or "",
        )
        told = {"size": "7", "updated": "2026-01-02T03:04:05.678Z"}
        found = {"items": [{"name": one["Key"], **told} for one in page["Contents"]]}
        if page["CommonPrefixes"]:
            found["prefixes"] = [one["Prefix"] for one in page["CommonPrefixes"]]
        if page["IsTruncated"]:
            found["nextPageToken"] = page["NextContinuationToken"]
        return found

    def _page(self, Bucket, Prefix="", Delimiter="", ContinuationToken="", StartAfter=""):  # noqa: N803 - S3's
        keys, after = self._keys, ContinuationToken or StartAfter
        at = max(bisect_left(keys, Prefix), bisect_right(keys, after) if after else 0)
        contents, below, last = [], [], ""
        while at < len(keys) and (key := keys[at]).startswith(Prefix):
            if len(contents) + len(below) == self._size:
                return {"Contents": contents, "CommonPrefixes": below, "IsTruncated": True,
                        "NextContinuationToken": last}  # fmt: skip
            folder, slash, _ = key[len(Prefix) :].partition(Delimiter or "\0")
            if slash:
                below.append({"Prefix": Prefix + folder + slash})
                last = f"{Prefix}{folder}{slash}\U0010ffff"
                at = bisect_right(keys, last)
            else:
                contents.append({"Key": key, "Size": 7, "LastModified": CHANGED})
                last, at = key, at + 1
        return {"Contents": contents, "CommonPrefixes": below, "IsTruncated": False}

    def split_path(self, path):
        bucket, _, key = path.partition("/")
        return bucket, key.partition("?versionId=")[0], None
