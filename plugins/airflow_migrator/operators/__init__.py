"""One operator per stage: hook, one engine call, a small document for XCom."""
