using System.Net;
using System.Text;
using MailPipeline.Testing;
using Microsoft.Extensions.Options;

namespace MailPipeline.Dns.Tests;

/// <summary>What is kept of the largest answers a DNS server can send: compression lets each record of 16 octets name 255.</summary>
public sealed class DnsBoundsTests
{
    private const int LargestMessage = 65_535;

    /// <summary>245 octets that take a thousand characters as text.</summary>
    private static readonly byte[] s_escapes = Long(1);

    private static readonly byte[] s_letters = Long((byte)'a');

    [Fact]
    public async Task Four_thousand_exchanges_of_one_name_that_is_no_host_are_one()
    {
        await using var server = Serving(question => Exchanges(question, s_escapes, (i, target) => target));
        var record = Assert.Single((await AskAsync(server)).Records);
        Assert.InRange(record.Host.Length, 1, DnsName.MaxChars);
    }

    [Fact]
    public async Task Of_thousands_of_hosts_the_best_hundred_are_kept_wherever_they_stand()
    {
        // The later, the better, and a pair has one name in other letters.
        await using var server = Serving(question => Exchanges(
            question, s_letters, (i, target) => [5, .. Encoding.ASCII.GetBytes($"{(i % 2 == 0 ? 'h' : 'H')}{i / 2:D4}"), .. target]));
        var answer = await AskAsync(server);
        Assert.Equal(100, answer.Records.Count);
        var preferences = answer.Records.Select(record => record.Preference).ToList();
        Assert.Equal(preferences.Order(), preferences);
        Assert.InRange(preferences[^1] - preferences[0], 197, 199);
        Assert.InRange(preferences[0], 1, 60_000 - 2900);
        Assert.Equal(100, answer.Records.DistinctBy(record => record.Host, StringComparer.OrdinalIgnoreCase).Count());
        Assert.InRange(answer.Records.Sum(record => record.Host.Length), 1, 100 * DnsName.MaxBytes);
    }

    [Fact]
    public async Task Hosts_stand_before_names_that_are_none_whatever_their_preference()
    {
        await using var server = Serving(question => DnsWire.Reply(
            question,
            DnsWire.Record(DnsWire.Asked, DnsWire.Mx, [0, 1, .. s_escapes, 0]),
            DnsWire.Record(DnsWire.Asked, DnsWire.Mx, [0, 9, .. DnsWire.Name("mx.example.net")])));
        Assert.Equal([new MxRecord(9, "mx.example.net")], (await AskAsync(server)).Records);
    }

    [Fact]
    public async Task Of_thousands_of_addresses_a_hundred_are_kept()
    {
        await using var server = Serving(question => DnsWire.Reply(
            question, [.. Enumerable.Range(0, 4000).Select(i => DnsWire.Record(DnsWire.Asked, DnsWire.A, [198, 18, (byte)(i / 512), (byte)(i / 2)]))]));
        var addresses = (await Lookup(server).IPv4Async("mx.example.net", default)).Records;
        Assert.Equal(100, addresses.Distinct().Count());
        Assert.Equal(100, addresses.Count);
        Assert.Equal(IPAddress.Parse("198.18.0.99"), addresses[^1]);
    }

    private static byte[] Long(byte octet) =>
        [.. Enumerable.Range(0, 4).SelectMany(i => (byte[])[60, .. Enumerable.Repeat(octet, 60)])];

    /// <summary>As many exchanges as a message holds, each at a better preference than the one before.</summary>
    /// <param name="target">From the number of the record and a pointer to the name.</param>
    private static byte[] Exchanges(byte[] question, byte[] name, Func<int, byte[], byte[]> target)
    {
        var first = DnsWire.Record(DnsWire.Asked, DnsWire.Mx, [0xFF, 0xFF, .. name, 0]);
        // Behind the question, the record's head and its preference.
        var at = question.AsSpan(12).IndexOf((byte)0) + 12 + 5 + 12 + 2;
        var records = new List<byte[]> { first };
        for (var length = at + first.Length; ; length += records[^1].Length)
        {
            var preference = 60_000 - records.Count;
            var record = DnsWire.Record(
                DnsWire.Asked, DnsWire.Mx,
                [(byte)(preference >> 8), (byte)preference, .. target(records.Count - 1, [(byte)(0xC0 | (at >> 8)), (byte)at])]);
            if (length + record.Length > LargestMessage)
                return DnsWire.Reply(question, [.. records]);
            records.Add(record);
        }
    }

    private static HostileDnsServer Serving(Func<byte[], byte[]> answer) =>
        new(question => [DnsWire.Reply(question, 0x8380, [])], question => DnsWire.OverTcp(answer(question)));

    private static DnsLookup Lookup(HostileDnsServer server) => new(
        Options.Create(new DnsOptions { Servers = [$"{server.EndPoint}"], Timeout = TimeSpan.FromSeconds(30), Retries = 0 }), TimeProvider.System);

    private static Task<DnsAnswer<MxRecord>> AskAsync(HostileDnsServer server) => Lookup(server).MxAsync("example.net", TestContext.Current.CancellationToken);
}
