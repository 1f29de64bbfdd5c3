using System.Buffers;
using System.Text;

namespace MailPipeline.LineServer.Tests;

/// <summary>The PROXY header whole, in pieces, and broken.</summary>
public sealed class ProxyHeaderTests
{
    private const string Signature = "0D0A0D0A000D0A515549540A";

    public static TheoryData<string, string?> Headers => new()
    {
        { Hex("PROXY TCP4 192.0.2.1 198.51.100.1 56324 25\r\n"), "192.0.2.1:56324" },
        { Hex("PROXY TCP6 2001:db8::1 2001:db8::2 56324 25\r\n"), "[2001:db8::1]:56324" },
        { Hex("PROXY UNKNOWN\r\n"), null },
        { Hex("PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n"), null },
        { Signature + "21" + "11" + "000C" + "C0000201" + "C6336401" + "DC04" + "0019", "192.0.2.1:56324" },
        { Signature + "21" + "21" + "0024" + "20010DB8000000000000000000000001" + "20010DB8000000000000000000000002" + "DC04" + "0019", "[2001:db8::1]:56324" },
        // With a TLV behind the addresses.
        { Signature + "21" + "11" + "0010" + "C0000201" + "C6336401" + "DC04" + "0019" + "04000100", "192.0.2.1:56324" },
        // LOCAL: the balancer's own health check.
        { Signature + "20" + "00" + "0000", null },
        { Signature + "21" + "00" + "0000", null },
    };

    [Theory, MemberData(nameof(Headers))]
    public void It_names_the_client_and_leaves_what_follows(string header, string? client)
    {
        var octets = Convert.FromHexString(header + Hex("EHLO x\r\n"));

        Assert.Equal(ProxyHeaderStatus.Complete, ProxyHeader.TryRead(new ReadOnlySequence<byte>(octets), out var consumed, out var found));

        Assert.Equal(client, found?.ToString());
        Assert.Equal("EHLO x\r\n", Encoding.ASCII.GetString(new ReadOnlySequence<byte>(octets).Slice(consumed).ToArray()));
    }

    [Theory, MemberData(nameof(Headers))]
    public void Every_beginning_of_it_is_incomplete(string header, string? client)
    {
        _ = client;
        var octets = Convert.FromHexString(header);
        for (var length = 0; length < octets.Length; length++)
            Assert.Equal(ProxyHeaderStatus.Incomplete, ProxyHeader.TryRead(new ReadOnlySequence<byte>(octets, 0, length), out _, out _));
    }

    [Theory]
    [InlineData("EHLO x\r\n")]
    [InlineData("PROXY TCP4 2001:db8::1 198.51.100.1 1 25\r\n")]
    [InlineData("PROXY TCP4 192.0.2.1 198.51.100.1 70000 25\r\n")]
    [InlineData("PROXY TCP4 192.0.2.1 198.51.100.1 1\r\n")]
    [InlineData("PROXY TCP4 127.0.0.1 198.51.100.1 1 25\r\n")]
    [InlineData("PROXY TCP6 ::1 2001:db8::2 1 25\r\n")]
    [InlineData("PROXY TCP6 ::ffff:127.0.0.1 2001:db8::2 1 25\r\n")]
    [InlineData("PROXY TCP5 192.0.2.1 198.51.100.1 1 25\r\n")]
    [InlineData("PROXY TCP4 192.0.2.1 198.51.100.1 1 25 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n")]
    public void A_line_that_is_none_is_invalid(string line) => Assert.Equal(
        ProxyHeaderStatus.Invalid, ProxyHeader.TryRead(new ReadOnlySequence<byte>(Encoding.ASCII.GetBytes(line)), out _, out _));

    [Theory]
    [InlineData("22110000")]
    [InlineData("21110004C0000201")]
    [InlineData("2111FFFF")]
    [InlineData("2111000C" + "7F000001" + "C6336401" + "DC04" + "0019")]
    public void A_block_that_is_none_is_invalid(string rest) => Assert.Equal(
        ProxyHeaderStatus.Invalid, ProxyHeader.TryRead(new ReadOnlySequence<byte>(Convert.FromHexString(Signature + rest)), out _, out _));

    private static string Hex(string text) => Convert.ToHexString(Encoding.ASCII.GetBytes(text));
}
