using System.Net;
using MailPipeline.Testing;
using Microsoft.Extensions.Options;

namespace MailPipeline.Dns.Tests;

/// <summary>TXT and TLSA records, from a real server and by hand, and whether DNSSEC vouches for them.</summary>
public sealed class TxtAndTlsaTests
{
    private static readonly string s_hash = new('A', 64);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_real_server_is_asked_for_texts_and_for_what_certificates_must_match()
    {
        var long255 = new string('k', 255);
        await using var server = await DnsServer.StartAsync($"""
            example.net. TXT "v=spf1 include:" "_spf.example.org -all"
            example.net. TXT "" "another; \255" ""
            large.example.net. TXT {string.Join(' ', Enumerable.Repeat($"\"{long255}\"", 20))}
            alias.example.net. CNAME example.net.
            second.example.net. CNAME alias.example.net.
            _25._tcp.mx.example.net. TLSA 3 1 1 {s_hash}
            _25._tcp.mx.example.net. TLSA 2 0 2 {s_hash}{s_hash}
            mx.example.net. A 192.0.2.1
            """, Cancellation);
        using var lookup = Lookup(server.EndPoint);

        Assert.Equal(
            ["another; \u00FF", "v=spf1 include:_spf.example.org -all"], (await TextsAsync(lookup, "example.net")).Order(StringComparer.Ordinal));
        Assert.Equal(2, (await TextsAsync(lookup, "alias.example.net")).Length);
        // Where aliases lead, all the way and one step.
        Assert.Equal(("example.net", "example.net", ""), (await AliasOfAsync("alias"), await AliasOfAsync("second"), await AliasOfAsync("large")));
        Assert.Equal(["alias.example.net"], (await lookup.AliasAsync("second.example.net", Cancellation)).Records);
        Assert.Equal(DnsStatus.NoData, (await lookup.AliasAsync("large.example.net", Cancellation)).Status);
        // More than a datagram takes.
        Assert.Equal(string.Concat(Enumerable.Repeat(long255, 20)), Assert.Single(await TextsAsync(lookup, "large.example.net")));

        var associations = await lookup.TlsaAsync("_25._tcp.mx.example.net", Cancellation);
        Assert.Equal(
            [$"2 0 2 {s_hash}{s_hash}", $"3 1 1 {s_hash}"],
            associations.Records.Select(record => $"{record.Usage} {record.Selector} {record.MatchingType} {Convert.ToHexString(record.Data.Span)}").Order());
        Assert.Equal((DnsStatus.Found, 60), (associations.Status, associations.TimeToLive.TotalSeconds));
        // It signs nothing, and is no resolver that would have checked.
        Assert.False(associations.IsAuthenticated);

        Assert.Equal(DnsStatus.NoData, (await lookup.TlsaAsync("mx.example.net", Cancellation)).Status);
        Assert.Equal(DnsStatus.NoSuchName, (await lookup.TlsaAsync("_25._tcp.example.net", Cancellation)).Status);
        Assert.Equal(DnsStatus.NoData, (await lookup.TxtAsync("mx.example.net", Cancellation)).Status);

        async Task<string> AliasOfAsync(string name) => (await lookup.TxtAsync($"{name}.example.net", Cancellation)).Alias;
    }

    [Theory]
    [InlineData(0x8180, "Found", false)]
    [InlineData(0x81A0, "Found", true)]
    [InlineData(0x8183, "NoSuchName", false)]
    [InlineData(0x81A3, "NoSuchName", true)]
    [InlineData(0x81A2, "Failed", false)]
    public async Task An_answer_says_whether_the_resolver_found_it_authentic(int flags, string status, bool isAuthenticated)
    {
        await using var server = new HostileDnsServer(question =>
        {
            // RFC 6840 §5.7: only who sets the bit is answered with it.
            Assert.Equal(0x20, question[3] & 0x20);
            return [DnsWire.Reply(question, flags, (flags & 0xF) == 0 ? [DnsWire.Record(DnsWire.Asked, DnsWire.Tlsa, [3, 1, 1, 0xAB])] : [])];
        });
        using var lookup = Lookup(server.EndPoint);
        var answer = await lookup.TlsaAsync("_25._tcp.mx.example.net", Cancellation);
        Assert.Equal((status, isAuthenticated), (answer.Status.ToString(), answer.IsAuthenticated));
    }

    [Fact]
    public async Task Half_an_answer_is_not_authentic_whatever_it_says()
    {
        await using var server = new HostileDnsServer(
            question => [DnsWire.Reply(question, 0x83A0, [])], question => DnsWire.OverTcp(DnsWire.Reply(question, 0x8180, [])));
        using var lookup = Lookup(server.EndPoint);
        Assert.False((await lookup.TlsaAsync("_25._tcp.mx.example.net", Cancellation)).IsAuthenticated);
    }

    [Theory]
    [InlineData(DnsWire.Txt, new byte[] { 5, 65, 66 })]
    [InlineData(DnsWire.Txt, new byte[] { 1, 65, 255 })]
    [InlineData(DnsWire.Tlsa, new byte[] { 3, 1 })]
    [InlineData(DnsWire.Tlsa, new byte[0])]
    public async Task A_record_that_is_none_of_its_type_is_a_temporary_failure_where_it_was_asked_for(int type, byte[] data)
    {
        await using var server = new HostileDnsServer(
            question => [DnsWire.Reply(question, DnsWire.Record(DnsWire.Asked, type, data), DnsWire.Record(DnsWire.Asked, DnsWire.A, DnsWire.Address))]);
        using var lookup = Lookup(server.EndPoint);
        var (status, error) = type == DnsWire.Txt
            ? await lookup.TxtAsync("example.net", Cancellation) is var text ? (text.Status, text.Error) : default
            : await lookup.TlsaAsync("example.net", Cancellation) is var association ? (association.Status, association.Error) : default;
        Assert.Equal((DnsStatus.Failed, $"{server.EndPoint} sent an answer that cannot be decoded"), (status, error));
        Assert.Equal(DnsStatus.Found, (await lookup.IPv4Async("example.net", Cancellation)).Status);
    }

    [Fact]
    public async Task The_same_text_twice_is_one_record_and_hundreds_of_them_are_all_there()
    {
        byte[][] records = [.. Enumerable.Range(0, 300).Select(i => DnsWire.Record(DnsWire.Asked, DnsWire.Txt, [2, (byte)(i / 2 % 128), (byte)(i / 256)]))];
        await using var server = new HostileDnsServer(
            question => [DnsWire.Reply(question, 0x8380, [])], question => DnsWire.OverTcp(DnsWire.Reply(question, records)));
        using var lookup = Lookup(server.EndPoint);
        Assert.Equal(150, (await TextsAsync(lookup, "example.net")).Length);
    }

    private static async Task<string[]> TextsAsync(DnsLookup lookup, string name) =>
        [.. (await lookup.TxtAsync(name, Cancellation)).Records.Select(record => record.Text)];

    private static DnsLookup Lookup(IPEndPoint server) => new(
        Options.Create(new DnsOptions { Servers = [$"{server}"], Timeout = TimeSpan.FromSeconds(30), Retries = 0 }), TimeProvider.System);
}
