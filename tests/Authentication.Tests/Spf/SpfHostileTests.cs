using System.Net;
using MailPipeline.Authentication.Spf;

namespace MailPipeline.Authentication.Tests.Spf;

/// <summary>Records that are made to cost much, and DNS that is silent: it ends, and says which bound ended it.</summary>
public sealed class SpfHostileTests
{
    [Fact]
    public async Task A_record_of_64_KB_is_not_read()
    {
        var dns = new ZoneDns("");
        dns.Add("TXT", "example.org", $"v=spf1 {string.Concat(Enumerable.Repeat("a:%{d}%{d}%{d}.example.org ", 2600))}");
        var found = await CheckAsync(dns);
        Assert.Equal((AuthenticationStatus.PermanentError, SpfLimit.RecordSize), (found.Status, found.Limit));
        Assert.Single(dns.Questions);
    }

    [Fact]
    public async Task A_thousand_includes_are_ten()
    {
        var dns = new ZoneDns("a.example.net TXT v=spf1 ?all");
        dns.Add("TXT", "example.org", $"v=spf1 {string.Concat(Enumerable.Repeat("include:a.example.net ", 700))}");
        var found = await CheckAsync(dns);
        Assert.Equal((AuthenticationStatus.PermanentError, SpfLimit.LookUps), (found.Status, found.Limit));
        Assert.Equal(11, dns.Questions.Count);
    }

    [Fact]
    public async Task A_thousand_answers_are_looked_at_and_ten_of_them_asked_about()
    {
        var dns = new ZoneDns("two.example.org TXT v=spf1 mx -all\nptr.example.org TXT v=spf1 ptr -all");
        for (var i = 0; i < 1000; i++)
        {
            dns.Add("TXT", "example.org", $"v=spf1 ip4:192.0.2.{i % 256} -all");
            dns.Add("MX", "two.example.org", $"10 h{i}.example.org");
            dns.Add("PTR", "1.2.0.192.in-addr.arpa", $"h{i}.example.org");
        }

        Assert.Equal("1000 SPF records", (await CheckAsync(dns)).Reason);
        Assert.Equal(SpfLimit.MxHosts, (await CheckAsync(dns, "two.example.org")).Limit);
        Assert.Equal(AuthenticationStatus.Fail, (await CheckAsync(dns, "ptr.example.org")).Status);
        Assert.InRange(dns.Questions.Count, 20, 30);
    }

    [Theory]
    [InlineData("v=spf1 -all", "TXT example.org ?")]
    [InlineData("v=spf1 a:silent.example.org -all", "A silent.example.org ?")]
    [InlineData("v=spf1 mx:silent.example.org -all", "MX silent.example.org ?")]
    [InlineData("v=spf1 ptr -all", "PTR 1.2.0.192.in-addr.arpa ?")]
    [InlineData("v=spf1 exists:%{p}.example.org -all", "PTR 1.2.0.192.in-addr.arpa ?")]
    [InlineData("v=spf1 include:silent.example.org -all", "TXT silent.example.org ?")]
    [InlineData("v=spf1 -all exp=silent.example.org", "TXT silent.example.org ?")]
    public async Task Silence_is_a_temporary_error_when_the_time_is_up(string record, string silence)
    {
        var words = silence.Split(' ');
        var dns = new ZoneDns("");
        dns.Add("TXT", "example.org", record);
        dns.Add(words[0], words[1], words[2]);
        using var deadline = new CancellationTokenSource();
        var asked = CheckAsync(dns, deadline: deadline.Token);
        Assert.False(asked.IsCompleted);
        await deadline.CancelAsync();
        var found = await asked;
        Assert.Equal((AuthenticationStatus.TemporaryError, SpfLimit.Time), (found.Status, found.Limit));
    }

    [Fact]
    public async Task An_explanation_is_cut_where_a_line_ends()
    {
        var dns = new ZoneDns("example.org TXT v=spf1 -all exp=why.example.org");
        dns.Add("TXT", "why.example.org", string.Concat(Enumerable.Repeat("%{s} ", 2000)));
        Assert.Equal(SpfLimits.MaxExplanationBytes, (await CheckAsync(dns)).Explanation.Length);
    }

    [Theory]
    [InlineData("\r\n250 Ok")]
    [InlineData("\u0007")]
    [InlineData("\u00E9")]
    public async Task What_a_sender_puts_into_an_explanation_is_not_said(string local)
    {
        var dns = new ZoneDns("example.org TXT v=spf1 -all exp=why.example.org\nwhy.example.org TXT Not %{l}");
        var found = await new SpfCheck(dns).CheckAsync(
            new SpfQuestion(IPAddress.Parse("192.0.2.1"), "mx.example.org", SpfIdentity.MailFrom, local, "example.org"), null, TestContext.Current.CancellationToken);
        Assert.Equal((AuthenticationStatus.Fail, ""), (found.Status, found.Explanation));
    }

    private static Task<SpfResult> CheckAsync(ZoneDns dns, string domain = "example.org", CancellationToken? deadline = null) => new SpfCheck(dns).CheckAsync(
        new SpfQuestion(IPAddress.Parse("192.0.2.1"), "mx.example.org", SpfIdentity.MailFrom, "ann", domain), null, deadline ?? TestContext.Current.CancellationToken);
}
