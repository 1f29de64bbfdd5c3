using System.Net;
using CsCheck;
using MailPipeline.Testing;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Dns.Tests;

/// <summary>What a DNS server may send, and what comes of it: only an answer to the very question is one (RFC 5452 §9).</summary>
public sealed class DnsLookupTests
{
    private const string Host = "mx.example.net";

    /// <summary>Datagrams that answer nothing we asked.</summary>
    private static readonly Dictionary<string, Func<byte[], byte[]>> s_strange = new()
    {
        ["wrong id"] = question => DnsWire.Changed(DnsWire.Right(question), 0, question[0] ^ 0x55),
        ["the question itself"] = question => question,
        ["an answer with QR=0"] = question => DnsWire.Changed(DnsWire.Right(question), 2, 0x01),
        ["another kind of request"] = question => DnsWire.Changed(DnsWire.Right(question), 2, 0xA9),
        ["another name"] = question => DnsWire.Changed(DnsWire.Right(question), 13, 'n'),
        ["another type"] = question => DnsWire.Changed(DnsWire.Right(question), 12 + Host.Length + 3, 2),
        ["another class"] = question => DnsWire.Changed(DnsWire.Right(question), 12 + Host.Length + 5, 3),
        ["NXDOMAIN without a question"] = question => DnsWire.Bare(question, 0x8183),
        ["no question"] = question => DnsWire.Bare(question, 0x8180),
        ["two questions"] = question => DnsWire.Changed(DnsWire.Right(question), 5, 2),
        ["five octets"] = question => question[..5],
        ["the header alone"] = question => DnsWire.Right(question)[..12],
        ["garbage"] = _ => [.. Enumerable.Range(0, 200).Select(i => (byte)(i * 37))],
        ["nothing"] = _ => [],
    };

    /// <summary>Answers to the question that nobody can make sense of.</summary>
    private static readonly Dictionary<string, Func<byte[], byte[]>> s_broken = new()
    {
        ["owner points to itself"] = question => DnsWire.Reply(question, DnsWire.Record([0xC0, (byte)(12 + Host.Length + 6)], DnsWire.A, DnsWire.Address)),
        ["owner points ahead"] = question => DnsWire.Reply(question, DnsWire.Record([0xC0, 200], DnsWire.A, DnsWire.Address)),
        ["label and pointer go round"] = question => DnsWire.Reply(question, DnsWire.Record([1, (byte)'a', 0xC0, (byte)(12 + Host.Length + 6)], DnsWire.A, DnsWire.Address)),
        ["two pointers to each other"] = question => DnsWire.Reply(
            question, DnsWire.Record(DnsWire.Asked, DnsWire.CName, [0xC0, (byte)(12 + Host.Length + 6 + 14), 0xC0, (byte)(12 + Host.Length + 6 + 12)])),
        ["pointer cut off"] = question => DnsWire.Reply(question, [0xC0]),
        ["unknown kind of label"] = question => DnsWire.Reply(question, DnsWire.Record([0x41, 0], DnsWire.A, DnsWire.Address)),
        ["data cut off"] = question => DnsWire.Right(question)[..^2],
        ["data longer than the message"] = question => DnsWire.Reply(question, DnsWire.Record(DnsWire.Asked, DnsWire.A, DnsWire.Address, length: 400)),
        ["three octets of an address"] = question => DnsWire.Reply(question, DnsWire.Record(DnsWire.Asked, DnsWire.A, [192, 0, 2])),
        ["more records than there are"] = question => DnsWire.Changed(DnsWire.Right(question), 7, 9),
        ["alias of itself"] = question => DnsWire.Reply(question, DnsWire.Record(DnsWire.Asked, DnsWire.CName, DnsWire.Asked)),
        ["aliases in a circle"] = question => DnsWire.Reply(question, DnsWire.Alias(Host, "a.example"), DnsWire.Alias("a.example", Host)),
        ["forty aliases"] = question => DnsWire.Reply(
            question, [DnsWire.Alias(Host, "a0.example"), .. Enumerable.Range(0, 40).Select(i => DnsWire.Alias($"a{i}.example", $"a{i + 1}.example"))]),
    };

    /// <summary>Answers that can be read and say nothing about the name.</summary>
    private static readonly Dictionary<string, Func<byte[], byte[]>> s_inconclusive = new()
    {
        ["records of another owner"] = question => DnsWire.Reply(question, DnsWire.Record(DnsWire.Name("other.example"), DnsWire.A, DnsWire.Address)),
        ["other servers"] = question => DnsWire.Reply(question, 0x8100, [DnsWire.Record(DnsWire.Name("net"), 2, DnsWire.Name("ns.example"))], authorities: 1),
        ["NXDOMAIN and records of another owner"] = question => DnsWire.Reply(
            question, 0x8183, [DnsWire.Record(DnsWire.Name("other.example"), DnsWire.A, DnsWire.Address)]),
        ["records of another class"] = question => DnsWire.Reply(question, DnsWire.Record(DnsWire.Asked, DnsWire.A, DnsWire.Address, recordClass: 3)),
        ["NXDOMAIN and records of another class"] = question => DnsWire.Reply(
            question, 0x8183, [DnsWire.Record(DnsWire.Asked, DnsWire.A, DnsWire.Address, recordClass: 3)]),
        ["an alias, and other servers for where it leads"] = question => DnsWire.Reply(
            question, 0x8100, [DnsWire.Alias(Host, "a.example"), DnsWire.Record(DnsWire.Name("example"), 2, DnsWire.Name("ns.example"))], authorities: 1),
        ["SERVFAIL"] = question => DnsWire.Reply(question, 0x8182, []),
        ["REFUSED without a question"] = question => DnsWire.Bare(question, 0x8185),
        ["FORMERR to all"] = question => DnsWire.Bare(question, 0x8181),
    };

    public static TheoryData<string> Strange => [.. s_strange.Keys];

    public static TheoryData<string> Broken => [.. s_broken.Keys];

    public static TheoryData<string> Inconclusive => [.. s_inconclusive.Keys];

    [Theory]
    [MemberData(nameof(Strange))]
    public async Task What_answers_another_question_is_passed_over_until_the_answer_comes(string kind)
    {
        await using var server = new HostileDnsServer(question => [s_strange[kind](question), s_strange[kind](question), DnsWire.Right(question)]);
        var answer = await AskAsync(server, retries: 0, seconds: 30);
        Assert.Equal("Found 192.0.2.1 60 ", Describe(answer));
        Assert.Equal(1, server.Questions);
    }

    [Theory]
    [MemberData(nameof(Strange))]
    public async Task Without_an_answer_there_is_a_temporary_failure_that_names_the_server(string kind)
    {
        await using var server = new HostileDnsServer(question => [s_strange[kind](question)]);
        var answer = await AskAsync(server, retries: 0, seconds: 0.1);
        Assert.Equal(
            $"Failed  0 {server.EndPoint} did not answer within 0.1 s; 1 answers that do not belong to the question were passed over", Describe(answer));
    }

    [Theory]
    [MemberData(nameof(Broken))]
    public async Task What_cannot_be_decoded_is_a_temporary_failure_that_names_the_server(string kind)
    {
        await using var server = new HostileDnsServer(question => [s_broken[kind](question)]);
        var answer = await AskAsync(server, retries: 1, seconds: 30);
        Assert.Equal($"Failed  0 {server.EndPoint} sent an answer that cannot be decoded", Describe(answer));
        Assert.Equal(2, server.Questions);
    }

    [Theory]
    [MemberData(nameof(Inconclusive))]
    public async Task What_says_nothing_about_the_name_is_a_temporary_failure(string kind)
    {
        await using var server = new HostileDnsServer(question => [s_inconclusive[kind](question)]);
        var answer = await AskAsync(server, retries: 0, seconds: 30);
        Assert.Equal(DnsStatus.Failed, answer.Status);
        Assert.StartsWith($"{server.EndPoint} answered ", answer.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_comes_from_another_port_is_no_answer()
    {
        await using var server = new HostileDnsServer(question => [DnsWire.Right(question)])
        {
            Forger = question => DnsWire.Reply(question, DnsWire.Record(DnsWire.Asked, DnsWire.A, [203, 0, 113, 66])),
        };
        Assert.Equal("Found 192.0.2.1 60 ", Describe(await AskAsync(server, retries: 0, seconds: 30)));
    }

    [Fact]
    public async Task Whoever_floods_a_question_with_guesses_has_it_asked_over_TCP()
    {
        await using var server = new HostileDnsServer(
            question => Enumerable.Repeat(s_strange["wrong id"](question), 200), question => DnsWire.OverTcp(DnsWire.Right(question)));
        Assert.Equal("Found 192.0.2.1 60 ", Describe(await AskAsync(server, retries: 0, seconds: 30)));
    }

    [Theory]
    [InlineData("FORMERR")]
    [InlineData("FORMERR without a question")]
    [InlineData("NOTIMP")]
    [InlineData("BADVERS")]
    public async Task A_server_that_does_not_know_EDNS_is_asked_without(string refusal)
    {
        await using var server = new HostileDnsServer(question => [DnsWire.HasEdns(question)
            ? refusal switch
            {
                "FORMERR" => DnsWire.Reply(question, 0x8181, []),
                "FORMERR without a question" => DnsWire.Bare(question, 0x8181),
                "NOTIMP" => DnsWire.Reply(question, 0x8184, []),
                // RFC 6891 §6.1.3: 16 has its upper bits in the OPT record and zero in the header.
                _ => DnsWire.Reply(question, 0x8180, [DnsWire.Record([0], DnsWire.Opt, [], seconds: 0x0100_0000, recordClass: 1232)], others: 1),
            }
            : DnsWire.Right(question)]);
        Assert.Equal("Found 192.0.2.1 60 ", Describe(await AskAsync(server, retries: 0, seconds: 30)));
        Assert.Equal(2, server.Questions);
    }

    [Theory]
    [InlineData("right", "Found 192.0.2.1 60 ")]
    [InlineData("wrong id", "Failed  0 SERVER sent an answer over TCP that does not belong to the question")]
    [InlineData("broken", "Failed  0 SERVER sent an answer that cannot be decoded")]
    [InlineData("cut off", "Failed  0 SERVER closed the connection before its answer was whole")]
    [InlineData("cut short", "Failed  0 SERVER cut its answer short over TCP too")]
    public async Task An_answer_that_is_cut_short_is_fetched_over_TCP_by_the_same_rules(string kind, string expected)
    {
        await using var server = new HostileDnsServer(
            // Half an answer is no answer: there is another address behind the bit.
            question => [DnsWire.Reply(question, 0x8380, [DnsWire.Record(DnsWire.Asked, DnsWire.A, [203, 0, 113, 66])])],
            question => kind switch
            {
                "right" => DnsWire.OverTcp(DnsWire.Right(question)),
                "wrong id" => DnsWire.OverTcp(s_strange["wrong id"](question)),
                "broken" => DnsWire.OverTcp(s_broken["owner points to itself"](question)),
                "cut off" => DnsWire.OverTcp(DnsWire.Right(question))[..^3],
                _ => DnsWire.OverTcp(DnsWire.Reply(question, 0x8380, [])),
            });
        Assert.Equal(
            expected.Replace("SERVER", server.EndPoint.ToString(), StringComparison.Ordinal), Describe(await AskAsync(server, retries: 0, seconds: 30)));
    }

    [Fact]
    public async Task Aliases_lead_to_the_records_that_count()
    {
        await using var server = new HostileDnsServer(question => [DnsWire.Reply(
            question,
            DnsWire.Record(DnsWire.Name("other.example"), DnsWire.A, [203, 0, 113, 66]),
            DnsWire.Record(DnsWire.Name("b.example"), DnsWire.A, DnsWire.Address),
            DnsWire.Record(DnsWire.Asked, DnsWire.CName, DnsWire.Name("A.example"), seconds: 30),
            DnsWire.Alias("a.EXAMPLE", "B.example"))]);
        Assert.Equal("Found 192.0.2.1 30 ", Describe(await AskAsync(server, retries: 0, seconds: 30)));
    }

    [Theory]
    [InlineData(0x8183, "NoSuchName  7 ")]
    [InlineData(0x8180, "NoData  7 ")]
    public async Task Absence_is_remembered_as_long_as_the_zone_says(int flags, string expected)
    {
        byte[] soa = [.. DnsWire.Name("ns.example"), .. DnsWire.Name("hostmaster.example"), .. new byte[19], 7];
        await using var server = new HostileDnsServer(
            question => [DnsWire.Reply(question, flags, [DnsWire.Record(DnsWire.Name("net"), DnsWire.Soa, soa, seconds: 900)], authorities: 1)]);
        Assert.Equal(expected, Describe(await AskAsync(server, retries: 0, seconds: 30)));
    }

    [Fact]
    public async Task Absence_without_an_SOA_counts_where_no_other_servers_are_named()
    {
        // RFC 2308 §2.1, §2.2: some servers and caches leave the SOA out.
        var servers = DnsWire.Record(DnsWire.Name("net"), 2, DnsWire.Name("ns.example"));
        (string Expected, Func<byte[], byte[]> Answer)[] kinds =
        [
            ("NoData  0 ", question => DnsWire.Reply(question)),
            ("NoData  0 ", question => DnsWire.Reply(question, DnsWire.Alias(Host, "a.example"))),
            ("NoSuchName  0 ", question => DnsWire.Reply(question, 0x8183, [])),
            ("NoSuchName  0 ", question => DnsWire.Reply(question, 0x8183, [servers], authorities: 1)),
            ("NoSuchName  0 ", question => DnsWire.Reply(question, 0x8183, [DnsWire.Alias(Host, "a.example")])),
            ("Found 192.0.2.1 60 ", question => DnsWire.Reply(
                question, 0x8180,
                [DnsWire.Record(DnsWire.Asked, DnsWire.A, [203, 0, 113, 66], recordClass: 3), DnsWire.Record(DnsWire.Asked, DnsWire.A, DnsWire.Address), servers],
                authorities: 1)),
        ];
        foreach (var (expected, answer) in kinds)
        {
            await using var server = new HostileDnsServer(question => [answer(question)]);
            Assert.Equal(expected, Describe(await AskAsync(server, retries: 0, seconds: 30)));
        }
    }

    [Fact]
    public async Task A_server_that_fails_has_the_next_one_asked()
    {
        await using var broken = new HostileDnsServer(question => [s_broken["data cut off"](question)]);
        await using var unable = new HostileDnsServer(question => [DnsWire.Reply(question, 0x8182, [])]);
        await using var right = new HostileDnsServer(question => [DnsWire.Right(question)]);
        var lookup = Lookup(1, 30, broken, unable, right);
        for (var i = 0; i < 3; i++)
            Assert.Equal("Found 192.0.2.1 60 ", Describe(await lookup.IPv4Async(Host, default)));
        // What makes no sense goes to the end of the line; what could not answer one question may well answer the next.
        Assert.Equal((1, 3, 3), (broken.Questions, unable.Questions, right.Questions));
    }

    [Fact]
    public void Any_octets_are_read_without_an_exception()
    {
        var query = DnsQuery.Create(Host, DnsRecordType.Mx)!;
        var question = new byte[DnsQuery.MaxBytes];
        question = question[..query.Write(question, 77, withEdns: true)];
        byte[][] whole =
        [
            DnsWire.Right(question),
            DnsWire.Reply(question, DnsWire.Record(DnsWire.Asked, DnsWire.Mx, [0, 10, 1, (byte)'a', .. DnsWire.Asked]), DnsWire.Alias(Host, "b.example")),
        ];
        Gen.Select(Gen.Int[0, 1], Gen.Select(Gen.Int[0, 90], Gen.Byte).Array[1, 8], Gen.Int[0, 90]).Sample((which, changes, length) =>
        {
            var message = whole[which].ToArray();
            foreach (var (at, value) in changes)
                message[at % message.Length] = value;
            message = message[..Math.Max(DnsQuery.HeaderBytes, Math.Min(length, message.Length))];
            query.IsAnsweredBy(message, 77);
            DnsReply.Read(message, query);
        });
        Gen.Byte.Array[0, 300].Sample(octets =>
        {
            query.IsAnsweredBy(octets, 77);
            DnsReply.Read(octets, query);
        });
    }

    [Theory]
    [InlineData("example.net", true)]
    [InlineData("example.net.", true)]
    [InlineData("_dmarc.example.net", true)]
    [InlineData("", false)]
    [InlineData(".", false)]
    [InlineData("a..b", false)]
    [InlineData(".a", false)]
    [InlineData("b\u00fccher.example", false)]
    [InlineData("a123456789012345678901234567890123456789012345678901234567890123.example", false)]
    public void A_name_is_asked_for_when_DNS_can_express_it(string name, bool expressible) =>
        Assert.Equal(expressible, DnsQuery.Create(name, DnsRecordType.A) is not null);

    [Fact]
    public async Task So_many_questions_are_under_way_and_the_time_of_those_that_wait_has_not_begun()
    {
        await using var server = new SilentDnsServer();
        var clock = new FakeTimeProvider();
        var timeout = TimeSpan.FromSeconds(3);
        var lookup = new DnsLookup(
            Options.Create(new DnsOptions { Servers = [$"{server.EndPoint}"], Retries = 0, Timeout = timeout, MaxQuestions = 2 }), clock);
        List<Task> asking = [.. Enumerable.Range(0, 5).Select(i => lookup.IPv4Async($"h{i}.example.net", TestContext.Current.CancellationToken))];
        foreach (var asked in (int[])[2, 4, 5])
        {
            await Eventually.TrueAsync(() => Task.FromResult(server.Questions >= asked), TimeSpan.FromSeconds(20), cancellation: TestContext.Current.CancellationToken);
            Assert.Equal(asked, server.Questions);
            clock.Advance(timeout);
            await Eventually.TrueAsync(() => Task.FromResult(asking.Count(task => task.IsCompleted) == asked), TimeSpan.FromSeconds(20), cancellation: TestContext.Current.CancellationToken);
        }
    }

    private static DnsLookup Lookup(int retries, double seconds, params HostileDnsServer[] servers) => new(
        Options.Create(new DnsOptions
        {
            Servers = [.. servers.Select(server => server.EndPoint.ToString())],
            Timeout = TimeSpan.FromSeconds(seconds),
            Retries = retries,
        }),
        TimeProvider.System);

    private static Task<DnsAnswer<IPAddress>> AskAsync(HostileDnsServer server, int retries, double seconds) =>
        Lookup(retries, seconds, server).IPv4Async(Host, TestContext.Current.CancellationToken);

    private static string Describe(DnsAnswer<IPAddress> answer) =>
        $"{answer.Status} {string.Join(' ', answer.Records)} {answer.TimeToLive.TotalSeconds} {answer.Error}";
}
