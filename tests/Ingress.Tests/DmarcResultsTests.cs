using System.Text.RegularExpressions;
using MailPipeline.Authentication.Dmarc;
using MailPipeline.Mail;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using MailPipeline.Testing;

namespace MailPipeline.Ingress.Tests;

/// <summary>What is counted of judgements by DMARC, for reports to domains.</summary>
public sealed class DmarcResultsTests : IAsyncLifetime
{
    private const string Good = AuthenticationZone.Good;
    private const string Bad = AuthenticationZone.Bad;

    private static readonly (string, string) s_on = ("Dmarc:Reports", "true");

    private DnsServer _dns = null!;

    public async ValueTask InitializeAsync() => _dns = await DnsServer.StartAsync($$"""
        mx.example.net. TXT "v=spf1 ip4:{{Good}} -all"
        example.net. TXT "v=spf1 ip4:{{Good}} -all"
        _dmarc.example.net. TXT "v=DMARC1; p=reject; sp=quarantine; rua=mailto:reports@example.net"
        none.example. TXT "v=spf1 ip4:{{Good}} -all"
        _dmarc.none.example. TXT "v=DMARC1; p=none; rua=mailto:reports@none.example"
        sampled.example. TXT "v=spf1 ip4:{{Good}} -all"
        _dmarc.sampled.example. TXT "v=DMARC1; p=quarantine; pct=0; rua=mailto:reports@sampled.example"
        silent.example. TXT "v=spf1 ip4:{{Good}} -all"
        _dmarc.silent.example. TXT "v=DMARC1; p=none"
        """, TestContext.Current.CancellationToken);

    public ValueTask DisposeAsync() => _dns.DisposeAsync();

    [Theory]
    [InlineData("Enforce", Good, "ann@example.net", "ann@example.net", "example.net: 192.0.2.1 none spf example.net/example.net")]
    [InlineData("Enforce", Good, "", "MAILER-DAEMON@example.net", "example.net: 192.0.2.1 none spf example.net/")]
    [InlineData("Enforce", Bad, "ann@example.net", "ann@example.net", "example.net: 192.0.2.66 reject fail example.net/example.net")]
    [InlineData("Mark", Bad, "ann@example.net", "ann@example.net", "example.net: 192.0.2.66 none fail example.net/example.net local_policy")]
    [InlineData("Enforce", Bad, "ann@example.net", "ann@sub.example.net", "example.net: 192.0.2.66 quarantine fail sub.example.net/example.net")]
    [InlineData("Enforce", Bad, "eve@none.example", "eve@none.example", "none.example: 192.0.2.66 none fail none.example/none.example")]
    [InlineData("Enforce", Bad, "eve@sampled.example", "eve@sampled.example", "sampled.example: 192.0.2.66 none fail sampled.example/sampled.example sampled_out")]
    [InlineData("Enforce", Bad, "eve@silent.example", "eve@silent.example", "")]
    [InlineData("Enforce", Good, "eve@nowhere.example", "eve@nowhere.example", "")]
    public async Task A_message_is_counted_by_what_became_of_it(string policy, string address, string sender, string from, string row)
    {
        await using var host = await StartAsync(policy, s_on);
        await using var client = await AuthenticationZone.AsAsync(host, address);
        await AuthenticationZone.SendAsync(client, sender, from);
        await AuthenticationZone.SendAsync(client, sender, from);
        Assert.Equal(row.Length == 0 ? [] : [$"{row} x2"], await CountedAsync(host));
    }

    [Theory]
    [InlineData("Dmarc:ExceptNetworks:0", "192.0.2.64/28", "trusted_forwarder")]
    [InlineData("Dmarc:ExceptDomains:0", "example.net", "local_policy")]
    public async Task What_the_operator_excepts_has_its_reason(string setting, string value, string reason)
    {
        await using var host = await StartAsync("Enforce", s_on, (setting, value));
        await using var client = await AuthenticationZone.AsAsync(host, Bad);
        await AuthenticationZone.SendAsync(client, "ann@example.net", "ann@example.net");
        Assert.Equal([$"example.net: 192.0.2.66 none fail example.net/example.net {reason} x1"], await CountedAsync(host));
    }

    [Fact]
    public async Task What_SPF_alone_refuses_says_so()
    {
        await using var host = await StartAsync("Enforce", s_on, ("Spf:Fail", "Refuse"));
        await using var client = await AuthenticationZone.AsAsync(host, Bad);
        await AuthenticationZone.SendAsync(client, "eve@none.example", "eve@none.example");
        Assert.Equal(["none.example: 192.0.2.66 reject fail none.example/none.example local_policy x1"], await CountedAsync(host));
    }

    [Fact]
    public async Task A_report_that_is_from_whom_it_says_is_not_reported_and_a_forged_one_is()
    {
        const string report = "Subject: Report Domain: example.com Submitter: example.net\r\n Report-ID: <1@example.net>\r\n\r\ntext";
        await using var host = await StartAsync("Mark", s_on);
        await using (var client = await AuthenticationZone.AsAsync(host, Good))
        {
            Assert.StartsWith("250", await AuthenticationZone.SendAsync(client, "", "reports@example.net", report), StringComparison.Ordinal);
            await AuthenticationZone.SendAsync(client, "ann@example.net", "ann@example.net", "Subject: Report on Monday\r\n\r\ntext");
        }

        await using (var client = await AuthenticationZone.AsAsync(host, Bad))
            await AuthenticationZone.SendAsync(client, "", "reports@example.net", report);
        Assert.Equal(
            ["example.net: 192.0.2.1 none spf example.net/example.net x1", "example.net: 192.0.2.66 none fail example.net/ local_policy x1"], await CountedAsync(host));
    }

    [Fact]
    public async Task What_is_refused_before_anybody_judges_it_is_not_counted()
    {
        await using var host = await StartAsync("Enforce", s_on, ("Ingress:Checks:HeaderRules:Rules:0:Name", "no"), ("Ingress:Checks:HeaderRules:Rules:0:Field", "X-No"),
            ("Ingress:Checks:HeaderRules:Rules:0:Verdict", "Refuse"));
        await using var client = await AuthenticationZone.AsAsync(host, Good);
        Assert.StartsWith("550", await AuthenticationZone.SendAsync(client, "ann@example.net", "ann@example.net", "X-No: 1\r\n\r\ntext"), StringComparison.Ordinal);
        Assert.StartsWith("250", await AuthenticationZone.SendAsync(client, "ann@example.net", "ann@example.net"), StringComparison.Ordinal);
        Assert.Equal(["example.net: 192.0.2.1 none spf example.net/example.net x1"], await CountedAsync(host));
    }

    [Fact]
    public async Task Nothing_is_counted_unless_the_operator_says_so()
    {
        await using var host = await StartAsync("Enforce");
        using var counted = host.Metric<long>("mailpipeline.ingress.dmarc_results");
        await using var client = await AuthenticationZone.AsAsync(host, Bad);
        await AuthenticationZone.SendAsync(client, "ann@example.net", "ann@example.net");
        Assert.Empty(await CountedAsync(host));
        Assert.Empty(counted.GetMeasurementSnapshot());
    }

    [Fact]
    public async Task One_listener_that_judges_is_enough_to_report_what_comes_there()
    {
        await using var host = await StartAsync("Off", s_on, ("Ingress:Listeners:0:Authentication", "Mark"));
        await using var client = await AuthenticationZone.AsAsync(host, Good);
        await AuthenticationZone.SendAsync(client, "ann@example.net", "ann@example.net");
        Assert.Equal(["example.net: 192.0.2.1 none spf example.net/example.net x1"], await CountedAsync(host));
    }

    [Fact]
    public async Task Reports_about_what_nobody_judges_are_a_mistake() => Assert.Contains(
        "Ingress:Checks:Authentication:Dmarc:Reports is true, but no listener judges anything: Ingress:Checks:Authentication:Policy, or Ingress:Listeners:N:Authentication of one of them, must be Mark or Enforce",
        (await Assert.ThrowsAsync<OptionsValidationException>(() => StartAsync("Off", s_on))).Message, StringComparison.Ordinal);

    [Fact]
    public async Task However_many_sources_a_stranger_has_they_take_no_more_room()
    {
        await using var host = await StartAsync("Mark", s_on);
        using var counted = host.Metric<long>("mailpipeline.ingress.dmarc_results");
        var results = host.Services.GetRequiredService<DmarcResults>();
        const int most = DmarcResults.MostRows;
        for (var source = 0; source < (2 * most) + 500; source++)
            results.Note(Judgement("example.net", $"192.{source >> 16}.{(source >> 8) & 255}.{source & 255}"));
        results.Note(Judgement("example.net", "192.0.0.7"));
        // Of one source that there is no single room for, one coarse kind stands for all senders.
        for (var sender = 0; sender < 3; sender++)
            results.Note(Judgement("example.net", $"192.0.{most >> 8}.{most & 255}", $"s{sender}.example"));
        for (var domain = 1; domain < DmarcResults.MostDomains + 20; domain++)
            results.Note(Judgement($"d{domain}.example", "192.0.2.1"));
        await results.StopAsync(default);
        var store = host.Services.GetRequiredService<DmarcResultStore>();
        var days = await store.ListBeforeAsync(long.MaxValue, null, 10_000, default);
        Assert.Equal(DmarcResults.MostDomains, days.Count);
        var day = await store.FindAsync(days[0].Day, "example.net", 10_000, default);
        Assert.Equal((2 * most, (2 * most) + 504L), (day.Counts.Count, day.Messages));
        Assert.Equal([4, 2, 1], day.Counts.Take(3).Select(count => count.Messages));
        Assert.Equal($"192.0.{most >> 8}.{most & 255}", DmarcJudgement.Parse(day.Counts[0].Key.Judgement)!.Source.Address);
        Assert.Equal(20, counted.GetMeasurementSnapshot().Count(one => "no_room".Equals(one.Tags["outcome"])));
    }

    [Fact]
    public async Task One_organisation_cannot_take_the_room_of_all_by_records_below_it()
    {
        await using var host = await StartAsync("Mark", s_on);
        var results = host.Services.GetRequiredService<DmarcResults>();
        for (var domain = 0; domain < DmarcResults.MostDomainsOfOne + 10; domain++)
            results.Note(Judgement($"d{domain}.example.net", "192.0.2.1"));
        results.Note(Judgement("d0.example.net", "192.0.2.2"));
        results.Note(Judgement("example.com", "192.0.2.1"));
        await results.StopAsync(default);
        var days = await host.Services.GetRequiredService<DmarcResultStore>().ListBeforeAsync(long.MaxValue, null, 10_000, default);
        Assert.Equal(DmarcResults.MostDomainsOfOne + 1, days.Count);
        Assert.Contains(days, one => one.Domain == "example.com");
    }

    private static DmarcJudgement Judgement(string domain, string address, string sender = "") =>
        new(new(domain, "r", "r", "none", "none", 100, "0"), new(address, "none", false, false, domain, sender));

    private Task<IngressHost> StartAsync(string policy, params (string, string)[] settings) => AuthenticationZone.StartAsync($"{_dns.EndPoint}", policy, settings);

    /// <summary>What is in storage when the process ends, a line for each kind.</summary>
    private static async Task<List<string>> CountedAsync(IngressHost host)
    {
        await host.Services.GetServices<IHostedService>().OfType<DmarcResults>().Single().StopAsync(default);
        var store = host.Services.GetRequiredService<DmarcResultStore>();
        var lines = new List<string>();
        foreach (var (day, domain) in await store.ListBeforeAsync(long.MaxValue, null, 100, default))
        {
            foreach (var (key, messages) in (await store.FindAsync(day, domain, 100, default)).Counts)
            {
                var source = DmarcJudgement.Parse(key.Judgement)!.Source;
                var passed = string.Join('+', new[] { source.IsDkimAligned ? "dkim" : "", source.IsSpfAligned ? "spf" : "" }.Where(name => name.Length > 0));
                lines.Add(Regex.Replace(
                    $"{domain}: {source.Address} {source.Disposition} {(passed.Length > 0 ? passed : "fail")} {source.HeaderFrom}/{source.EnvelopeFrom} {string.Join(' ', source.Reasons.Select(reason => reason.Type))} x{messages}",
                    " +", " "));
            }
        }

        lines.Sort(StringComparer.Ordinal);
        return lines;
    }
}
