using MailPipeline.Smtp;

namespace MailPipeline.Mail.Tests;

/// <summary>What is kept of TLS towards the world: policies of domains, what became of sessions, and what an attempt had.</summary>
public abstract partial class StoreTests
{
    [Fact]
    public async Task A_policy_is_kept_replaced_used_and_forgotten()
    {
        var policies = new StsPolicyStore(Store.Database);
        var now = Store.Time.GetUtcNow();
        Assert.Null(await policies.FindAsync("example.net", default));
        var policy = new StoredStsPolicy("example.net", "1", "version: STSv1\nmode: testing", now, now.AddDays(7), now.AddDays(1), now);
        await policies.SaveAsync(policy);
        Assert.Equal(policy, await policies.FindAsync("example.net", default));

        var next = policy with { RecordId = "2", Text = "version: STSv1\nmode: enforce", FetchedAt = now.AddDays(1), ExpiresAt = now.AddDays(8), RefreshAt = now.AddDays(2) };
        await policies.SaveAsync(next with { UsedAt = now.AddDays(-5) });
        // When it was used last stays.
        Assert.Equal(next, await policies.FindAsync("example.net", default));
        await policies.UseAsync("example.net", now.AddDays(3));
        await policies.UseAsync("example.net", now.AddDays(2));
        Assert.Equal(now.AddDays(3), (await policies.FindAsync("example.net", default))!.UsedAt);
        await policies.UseAsync("example.org", now);
        Assert.Equal(["example.net"], (await policies.ListAsync(10, default)).Select(kept => kept.Domain));

        await policies.ForgetExpiredAsync(now.AddDays(8), 10, default);
        Assert.NotNull(await policies.FindAsync("example.net", default));
        await policies.ForgetExpiredAsync(now.AddDays(8).AddMilliseconds(1), 10, default);
        Assert.Null(await policies.FindAsync("example.net", default));
        Assert.False(await policies.ForgetAsync("example.net", new("ann")));
        await policies.SaveAsync(policy);
        Assert.True(await policies.ForgetAsync("example.net", new("ann")));
    }

    [Fact]
    public async Task The_turn_to_fetch_a_policy_anew_is_one_processes()
    {
        var policies = new StsPolicyStore(Store.Database);
        var now = Store.Time.GetUtcNow();
        foreach (var (domain, hours, days) in ((string, int, int)[])[("a.example", 2, 0), ("b.example", 1, 0), ("c.example", 3, 0), ("old.example", 0, -40)])
            await policies.SaveAsync(new StoredStsPolicy(domain, "1", "", now, now.AddDays(7), now.AddHours(hours), now.AddDays(days)));
        var due = await policies.ListDueAsync(now.AddHours(2), now.AddDays(-30), 10, default);
        Assert.Equal(["b.example", "a.example"], due.Select(one => one.Domain));
        Assert.True(await policies.TakeAsync(due[0], now.AddHours(3)));
        Assert.False(await policies.TakeAsync(due[0], now.AddHours(3)));
        Assert.Equal(["a.example"], (await policies.ListDueAsync(now.AddHours(2), now.AddDays(-30), 10, default)).Select(one => one.Domain));
    }

    [Fact]
    public async Task Results_of_all_processes_are_added_up_until_they_are_told()
    {
        var results = new TlsResultStore(Store.Database);
        var good = new TlsResultKey(20_000, "example.net", "sts\nversion: STSv1\nmode: enforce", "", "mx.example.net", "");
        var bad = good with { Result = "certificate-expired", Address = "192.0.2.1" };
        await results.AddAsync(1, [new(good, 3), new(bad, 1)]);
        await results.AddAsync(1, [new(good, 4)]);
        await results.AddAsync(2, [new(good, 5), new(good with { Policy = "sts\nanother" }, 1), new(good with { Domain = "example.org" }, 1), new(good with { Day = 20_001 }, 9)]);
        Assert.Equal([(20_000, "example.net"), (20_000, "example.org")], await results.ListBeforeAsync(20_001, null, 10, default));
        Assert.Equal(
            [(good, 12), (good with { Policy = "sts\nanother" }, 1), (bad, 1)],
            (await results.FindAsync(20_000, "example.net", 10, default)).Select(count => (count.Key, count.Sessions)).OrderBy(count => count.Key.Result).ThenByDescending(count => count.Sessions));

        var id = await Store.Messages.NextMessageIdAsync(default);
        var report = new ComposedMessage(
            new Envelope(id, "", ["reports@example.net"], 5, BodyType.TlsOptional, Store.Time.GetUtcNow(), ""), "five!"u8.ToArray());
        Assert.True(await results.ReportAsync(20_000, "example.net", [report]));
        // Another process has been at it at the same time.
        Assert.False(await results.ReportAsync(20_000, "example.net", [report with { Message = report.Message with { MessageId = id + 1 } }]));
        Assert.Empty(await results.FindAsync(20_000, "example.net", 10, default));
        Assert.Equal(BodyType.TlsOptional, Assert.Single(await Store.Queue.ListUnroutedAsync(0, Store.Time.GetUtcNow().AddMinutes(1), 10, default)).Body);
        await results.ForgetAsync(20_000, "example.org");
        Assert.Equal([(20_001, "example.net")], await results.ListBeforeAsync(long.MaxValue, null, 10, default));
        await results.ForgetBeforeAsync(20_002);
        Assert.Empty(await results.ListBeforeAsync(long.MaxValue, null, 10, default));
    }

    [Fact]
    public async Task An_attempt_keeps_what_TLS_it_had()
    {
        var message = await AcceptByAsync(new DeliverBy(Store.Time.GetUtcNow().AddDays(1), IsReturned: false, IsTraced: false), "a@example.net");
        var recipient = (await Store.Queue.RouteAsync([StoreFixture.Route(message, RecipientRoute.Remote)]))[0].Recipient;
        await Store.TakeAsync(7, "example.net", [recipient], begun: true, default);
        var tls = new AttemptTls("dane", "published", "tlsa", "TLSv1.3", "TLS_AES_256_GCM_SHA384");
        await Store.Claims.RecordLastDeliveredAsync(7, [Delivered(recipient, handsOn: false) with { Tls = tls }], [recipient.RecipientId], default);
        Assert.Equal(tls, Assert.Single((await Store.History.FindAsync(message.MessageId, default))!.Recipients[0].Attempts).Tls);
    }

    [Theory]
    [InlineData("")]
    [InlineData(null)]
    [InlineData("more words than this program knows of it")]
    public void What_TLS_an_attempt_had_may_be_unknown(string? text) => Assert.Null(AttemptTls.Parse(text));
}
