// Each test runs whole servers and measures; side by side they would measure each other.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
