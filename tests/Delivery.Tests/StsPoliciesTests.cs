using MailPipeline.Delivery.Tls;
using MailPipeline.Dns;
using MailPipeline.MtaSts;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Delivery.Tests;

/// <summary>Policies of MTA-STS over their life: fetched, kept for all processes, fetched anew, and what does not count as one.</summary>
public sealed class StsPoliciesTests : IAsyncLifetime
{
    private const string Domain = Bench.Domain;

    private readonly Authority _authority = new();
    private readonly FakeTimeProvider _clock = new(TimeProvider.System.GetUtcNow());
    private Bench _bench = null!;
    private PolicyServer _server = null!;

    public ValueTask InitializeAsync()
    {
        _server = new PolicyServer(_authority.Issue("mta-sts.example.net")) { Body = Text("enforce") };
        _bench = Make(_clock);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task A_policy_is_fetched_once_for_all_processes()
    {
        Publish("1");
        var policies = _bench.PoliciesFor();
        Assert.Equal(StsMode.Enforce, (await policies.FindAsync(Domain))!.Mode);
        Assert.Equal(StsMode.Enforce, (await policies.FindAsync("EXAMPLE.net"))!.Mode);
        Assert.StartsWith("GET /.well-known/mta-sts.txt HTTP/1.1", _server.LastRequest, StringComparison.Ordinal);
        Assert.Contains("Host: mta-sts.example.net", _server.LastRequest, StringComparison.Ordinal);
        await _server.DisposeAsync();
        Assert.Equal(StsMode.Enforce, (await _bench.PoliciesFor().FindAsync(Domain))!.Mode);
        Assert.Equal(1, _server.Requests);
    }

    [Fact]
    public async Task Who_asks_at_the_same_time_asks_once()
    {
        Publish("1");
        var gate = new TaskCompletionSource();
        _server.Gate = gate.Task;
        var policies = _bench.PoliciesFor();
        var asked = Enumerable.Range(0, 50).Select(_ => policies.FindAsync(Domain)).ToList();
        gate.SetResult();
        Assert.All(await Task.WhenAll(asked), policy => Assert.Equal(StsMode.Enforce, policy!.Mode));
        Assert.Equal(1, _server.Requests);
    }

    [Fact]
    public async Task A_new_id_has_it_fetched_anew_and_a_failed_fetch_keeps_what_is_there()
    {
        Publish("1");
        var policies = _bench.PoliciesFor();
        await policies.FindAsync(Domain);
        Publish("2");
        (_server.Status, _server.Body) = ("503 Later", Text("testing"));
        Assert.Equal(("1", StsMode.Enforce), Said(await policies.FindAsync(Domain)));
        Assert.Equal(("1", StsMode.Enforce), Said(await policies.FindAsync(Domain)));
        // RFC 8461 §3.3: not so soon again.
        Assert.Equal(2, _server.Requests);
        _server.Status = "200 OK";
        _clock.Advance(StsPolicies.FailurePause);
        Assert.Equal(("2", StsMode.Testing), Said(await policies.FindAsync(Domain)));
        Assert.Equal(("2", StsMode.Testing), Said(await _bench.PoliciesFor().FindAsync(Domain)));
        Assert.Equal(3, _server.Requests);
    }

    [Theory]
    [InlineData("failure")]
    [InlineData("gone")]
    [InlineData("two")]
    public async Task A_policy_holds_until_it_expires_whatever_DNS_says(string dns)
    {
        Publish("1");
        await _bench.PoliciesFor().FindAsync(Domain);
        _bench.Dns.Txt.Clear();
        if (dns == "failure")
            _bench.Dns.Txt[$"_mta-sts.{Domain}"] = DnsAnswer.Failure<TxtRecord>("ServerFailure");
        else if (dns == "two")
            _bench.Dns.WithTxt($"_mta-sts.{Domain}", "v=STSv1; id=2", "v=STSv1; id=3");
        await _server.DisposeAsync();
        _clock.Advance(TimeSpan.FromHours(23));
        Assert.Equal(("1", StsMode.Enforce), Said(await _bench.PoliciesFor().FindAsync(Domain)));
        _clock.Advance(TimeSpan.FromHours(1));
        Assert.Null(await _bench.PoliciesFor().FindAsync(Domain));
    }

    [Fact]
    public async Task Mode_none_ends_a_policy()
    {
        Publish("1");
        var policies = _bench.PoliciesFor();
        await policies.FindAsync(Domain);
        Publish("2");
        _server.Body = Text("none");
        Assert.Null(await policies.FindAsync(Domain));
        Assert.Null(await _bench.PoliciesFor().FindAsync(Domain));
    }

    [Fact]
    public async Task What_is_used_is_fetched_anew_long_before_it_expires_by_one_process()
    {
        Publish("1");
        await _bench.PoliciesFor().FindAsync(Domain);
        var expires = _bench.Shelf.Kept[Domain].ExpiresAt;
        Assert.Equal(0, await _bench.PoliciesFor().RefreshAsync(100));
        _clock.Advance(TimeSpan.FromHours(12));
        var (one, other) = (_bench.PoliciesFor(), _bench.PoliciesFor());
        Assert.Equal(1, (await Task.WhenAll(one.RefreshAsync(100), other.RefreshAsync(100))).Sum());
        Assert.Equal(expires + TimeSpan.FromHours(12), _bench.Shelf.Kept[Domain].ExpiresAt);

        // A fetch that fails is tried again, and does no harm.
        _server.Status = "404 Not Found";
        for (var hours = 0; hours < 11; hours++)
        {
            _clock.Advance(TimeSpan.FromHours(2));
            await one.RefreshAsync(100);
        }

        Assert.Equal(("1", StsMode.Enforce), Said(await _bench.PoliciesFor().FindAsync(Domain)));
    }

    [Fact]
    public async Task What_nobody_uses_is_not_fetched_for_ever()
    {
        Publish("1");
        _server.Body = Text("enforce").Replace("86400", "31557600", StringComparison.Ordinal);
        await _bench.PoliciesFor().FindAsync(Domain);
        _clock.Advance(StsPolicies.Unused);
        Assert.Equal(0, await _bench.PoliciesFor().RefreshAsync(100));
        // Whoever uses it again has it fetched anew again.
        await _bench.PoliciesFor().FindAsync(Domain);
        Assert.Equal(1, await _bench.PoliciesFor().RefreshAsync(100));
    }

    [Fact]
    public async Task While_storage_is_away_policies_are_fetched_and_hold()
    {
        Publish("1");
        _bench.Shelf.IsAway = true;
        var policies = _bench.PoliciesFor();
        Assert.Equal(StsMode.Enforce, (await policies.FindAsync(Domain))!.Mode);
        _bench.Shelf.IsAway = false;
        _clock.Advance(TimeSpan.FromMinutes(10));
        _bench.Dns.Txt.Clear();
        Assert.Equal(StsMode.Enforce, (await policies.FindAsync(Domain))!.Mode);
    }

    [Theory]
    [InlineData("redirect", "sts-policy-fetch-error")]
    [InlineData("404", "sts-policy-fetch-error")]
    [InlineData("html", "sts-policy-fetch-error")]
    [InlineData("100 MB", "sts-policy-fetch-error")]
    [InlineData("says 10 MB", "sts-policy-fetch-error")]
    [InlineData("endless header", "sts-policy-fetch-error")]
    [InlineData("no address", "sts-policy-fetch-error")]
    [InlineData("silent", "sts-policy-fetch-error")]
    [InlineData("slow", "sts-policy-fetch-error")]
    [InlineData("no policy", "sts-policy-invalid")]
    [InlineData("wrong name", "sts-webpki-invalid")]
    [InlineData("common name", "sts-webpki-invalid")]
    [InlineData("expired", "sts-webpki-invalid")]
    [InlineData("untrusted", "sts-webpki-invalid")]
    public async Task What_is_no_policy_costs_little_and_mail_goes_as_without_one(string kind, string result)
    {
        using var stranger = new Authority();
        await using var server = new PolicyServer(kind switch
        {
            "wrong name" => _authority.Issue("mta-sts.example.org"),
            "common name" => _authority.Issue("mta-sts.example.net", alternatives: ["www.example.net"]),
            "expired" => _authority.Issue("mta-sts.example.net", -20, -10),
            "untrusted" => stranger.Issue("mta-sts.example.net"),
            _ => _authority.Issue("mta-sts.example.net"),
        })
        {
            Body = Text("enforce"),
        };
        switch (kind)
        {
            case "redirect":
                (server.Status, server.MoreFields) = ("302 Found", "Location: https://mta-sts.example.net/other\r\n");
                break;
            case "404":
                server.Status = "404 Not Found";
                break;
            case "html":
                server.MediaType = "text/html";
                break;
            case "100 MB":
                (server.Body, server.Times) = (Text("enforce") + new string('x', 100_000), 1000);
                break;
            case "says 10 MB":
                server.MoreFields = "Content-Length: 10000000\r\n";
                break;
            case "endless header":
                server.MoreFields = string.Concat(Enumerable.Repeat($"X-More: {new string('x', 1000)}\r\n", 10_000));
                break;
            case "silent":
                server.IsSilent = true;
                break;
            case "slow":
                server.Gate = new TaskCompletionSource().Task;
                break;
            case "no policy":
                server.Body = "nothing to see";
                break;
        }

        await using var bench = Make(TimeProvider.System);
        bench.Options.StsTimeout = kind is "silent" or "slow" ? TimeSpan.FromMilliseconds(300) : TimeSpan.FromSeconds(20);
        bench.Dns.WithTxt($"_mta-sts.{Domain}", "v=STSv1; id=1");
        bench.PolicyHosts.Known[$"mta-sts.{Domain}"] = server.EndPoint;
        if (kind == "no address")
            bench.PolicyHosts.Known.Clear();
        using var fetched = bench.Collect("mailpipeline.delivery.tls.policies");
        var policies = bench.PoliciesFor();
        Assert.Null(await policies.FindAsync(Domain));
        Assert.Null(await policies.FindAsync(Domain));
        Assert.Equal([result], fetched.GetMeasurementSnapshot().Select(measured => measured.Tags["result"]));
        // What lies in the buffers of the system.
        Assert.InRange(server.Sent, 0, 20_000_000);
        Assert.InRange(server.Requests, 0, 1);
        await bench.Results.StopAsync(default);
        Assert.Equal([("sts", result)], bench.Counted.Select(count => (count.Key.Policy, count.Key.Result)));
    }

    public async ValueTask DisposeAsync()
    {
        await _bench.DisposeAsync();
        await _server.DisposeAsync();
        _authority.Dispose();
    }

    private Bench Make(TimeProvider time)
    {
        var bench = new Bench(options => (options.MtaSts, options.TlsReports, options.TrustedRoots) = (true, true, _authority.File), time);
        bench.DnsOptions.CacheTime = TimeSpan.Zero;
        bench.PolicyHosts.Known[$"mta-sts.{Domain}"] = _server.EndPoint;
        return bench;
    }

    private void Publish(string id) => _bench.Dns.WithTxt($"_mta-sts.{Domain}", $"v=STSv1; id={id}");

    private static (string, StsMode) Said(StsPolicy? policy) => (policy!.Id, policy.Mode);

    private static string Text(string mode) => $"version: STSv1\nmode: {mode}\nmx: mx.example.net\nmax_age: 86400\n";
}
