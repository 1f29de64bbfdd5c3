using MailPipeline.Delivery.Batches;
using MailPipeline.Delivery.Routing;
using MailPipeline.Mail;
using Microsoft.Extensions.Logging.Testing;

namespace MailPipeline.Delivery.Tests;

/// <summary>What strangers say and name stands in the log on one line, without controls and of bounded length.</summary>
public sealed class LogWordsTests
{
    private const string Nasty = "\u001b[31m\u009b1m\u202e\u0000\u007f";

    private static readonly string s_long = new('x', 3000);

    [Fact]
    public async Task The_name_of_a_domain_is_shown_plainly_whatever_becomes_of_it()
    {
        var domain = $"a{Nasty}\r\nmessage=1.{s_long}";
        foreach (var isAway in (bool[])[false, true])
        {
            await using var bench = new Bench();
            bench.Claims.IsAway = isAway;
            var failed = new Resolution([], new ResolutionFailure(IsPermanent: false, "4.4.3", $"DNS says {Nasty}\n{s_long}"));
            await RunAsync(bench, domain, failed);
            AssertPlain(bench.Log.Collector, expected: 1);
        }
    }

    [Fact]
    public async Task What_a_far_end_says_is_shown_plainly_at_each_step()
    {
        const string Hello = "S: 220 mx\n* EHLO\nS: 250 mx\n";
        const string Mail = Hello + "C: MAIL FROM:<sender@example.com>\n";
        const string Rcpt = Mail + "S: 250 Ok\nC: RCPT TO:<user1@example.net>\n";
        const string Data = Rcpt + "S: 250 Ok\nC: DATA\n";
        foreach (var before in (string[])["", "S: 220 mx\n* EHLO\n", Mail, Rcpt, Data, Data + "S: 354 Go on\nC: one\nC: .\n"])
        {
            foreach (var code in (int[])[421, 451, 550, 250])
            {
                await using var server = new ScriptedServer([.. Enumerable.Repeat($"{before}S: {code}-{Nasty}\nS: {code} {Nasty} {s_long}\n! close", 3)]);
                await using var bench = new Bench();
                await RunAsync(bench, "example.net", new Resolution([new TargetHost("127.0.0.1", server.Port) { IsRouted = true }], null));
                AssertPlain(bench.Log.Collector, expected: 1);
            }
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(255)]
    public async Task A_host_that_DNS_names_is_shown_plainly(int letters)
    {
        await using var bench = new Bench();
        bench.Dns.WithMx(Bench.Domain, (10, string.Concat(Enumerable.Repeat("\\027", 255 - letters)) + new string('x', letters)));
        await bench.RunAsync(bench.Message("one\r\n"));
        AssertPlain(bench.Log.Collector, expected: 1);
    }

    private static async Task RunAsync(Bench bench, string domain, Resolution resolution) => await bench.Delivery.RunAsync(
        new BatchCommand(77, domain, bench.Message("one\r\n")), Task.FromResult(resolution), bench.Slots,
        new BatchWaits(bench.Telemetry, bench.Time), _ => Task.CompletedTask);

    private static void AssertPlain(FakeLogCollector log, int expected)
    {
        var lines = log.GetSnapshot().Select(record => record.Message).ToArray();
        Assert.True(lines.Length >= expected);
        Assert.All(lines, line =>
        {
            Assert.DoesNotContain(line, character => char.IsControl(character) || character == '\u202e');
            Assert.InRange(line.Length, 1, 1500);
        });
    }
}
