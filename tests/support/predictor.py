"""A program that stands in for a predictor process of the demo."""

from __future__ import annotations

PROGRAM = """
import json, sys, time
print("a library's greeting")
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    if request["model"] == "nextjournal":
        sys.exit(3)
    if request["model"] == "under-5k":
        time.sleep(60)
    answer = {"probabilities": [0.1] * 10, "milliseconds": 0.5}
    answer = {"error": "No."} if request["model"] == "under-8k" else answer
    answer = {"probabilities": [float("nan")] * 10} if request["model"] == "best" else answer
    print(json.dumps({"id": request["id"], **answer}), flush=True)
"""
