namespace MailPipeline.Smtp.Tests;

/// <summary>What a server says that it takes in one session (RFC 9422).</summary>
public sealed class AnnouncedLimitsTests
{
    private const int None = int.MaxValue;

    [Theory]
    [InlineData("LIMITS RCPTMAX=20 MAILMAX=5 RCPTDOMAINMAX=1", 5, 20, 1)]
    [InlineData("limits rcptmax=1000", None, 1000, None)]
    [InlineData("LIMITS MAILMAX=0 RCPTMAX=many OTHERMAX=3 RCPTDOMAINMAX", None, None, None)]
    [InlineData("LIMITS RCPTMAX=99999999999 MAILMAX=-1", None, None, None)]
    [InlineData("LIMITS", None, None, None)]
    [InlineData("SIZE 1000", None, None, None)]
    public void What_is_announced_is_read_and_what_is_no_bound_is_none(string line, int messages, int recipients, int domains)
    {
        var bytes = new System.Buffers.ReadOnlySequence<byte>(System.Text.Encoding.ASCII.GetBytes($"250-mx.example.net\r\n250 {line}\r\n"));
        Assert.Equal(ReplyStatus.Reply, new ReplyParser().TryRead(ref bytes, out var reply));
        Assert.Equal(new AnnouncedLimits(messages, recipients, domains), EhloCapabilities.Parse(reply!).Limits);
    }
}
