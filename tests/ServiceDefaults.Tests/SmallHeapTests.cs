namespace MailPipeline.ServiceDefaults.Tests;

public sealed class SmallHeapTests
{
    private const long Megabyte = 1024 * 1024;

    [Theory]
    [InlineData(0, 3, false)]
    [InlineData(0, 5, true)]
    [InlineData(7, 12, false)]
    [InlineData(7, 15, true)]
    // A heap that is large has grown when it has doubled, so that collecting it stays a small share of the work.
    [InlineData(200, 390, false)]
    [InlineData(200, 401, true)]
    [InlineData(200, 50, false)]
    public void A_heap_is_collected_when_it_has_grown_by_four_megabytes_and_by_its_own_size(long after, long now, bool grown) =>
        Assert.Equal(grown, SmallHeap.HasGrown(after * Megabyte, now * Megabyte));
}
