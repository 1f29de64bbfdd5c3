using System.Reflection;
using MailPipeline.Authentication.Dkim;
using MailPipeline.Mail;
using MailPipeline.Testing;

namespace MailPipeline.Administration.Tests;

/// <summary>Each act that changes something leaves one entry, and one that does not leaves none.</summary>
public sealed class AuditTests : IAsyncLifetime
{
    private const string Password = "s3cret-words";

    private AdministrationFixture _operator = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static OperatorIdentity By => AdministrationFixture.By;

    public async ValueTask InitializeAsync() => _operator = await AdministrationFixture.OpenAsync();

    public ValueTask DisposeAsync() => _operator.DisposeAsync();

    [Fact]
    public async Task Every_act_that_changes_something_has_one_entry_and_no_other_has_any()
    {
        var id = "";
        using var folder = new TempFolder();
        var keys = new DkimKeys(new KeyFolder(folder.FullPath), _operator.Get<AuditLog>());
        var lists = _operator.Get<Suppressions>();
        // The act, what is noted of it (null: nothing), and how many recipients it changed.
        (string Act, Func<Task> Run, OperatorAction? Noted, string Subject, int Recipients)[] acts =
        [
            ("Domains.AddAsync", () => _operator.Domains.AddAsync("..", By, Cancellation), null, "", 0),
            ("Domains.AddAsync", () => _operator.Domains.AddAsync("Example.org", By, Cancellation), OperatorAction.DomainAdded, "example.org", 0),
            ("Domains.AddAsync", () => _operator.Domains.AddAsync("example.org", By, Cancellation), null, "", 0),
            ("Domains.AddAliasAsync", () => _operator.Domains.AddAliasAsync("example.com", "example.edu", By, Cancellation), null, "", 0),
            ("Domains.AddAliasAsync", () => _operator.Domains.AddAliasAsync("example.com", "example.org", By, Cancellation), OperatorAction.DomainAdded, "example.com, alias of example.org", 0),
            ("Domains.AddAliasAsync", () => _operator.Domains.AddAliasAsync("example.com", "example.org", By, Cancellation), null, "", 0),
            ("Domains.RemoveAsync", () => _operator.Domains.RemoveAsync("example.org", By, Cancellation), null, "", 0),
            ("Domains.AddRelayAsync", () => _operator.Domains.AddRelayAsync("relay.example", "a..b", RelayRecipients.All, By, Cancellation), null, "", 0),
            ("Domains.AddRelayAsync", () => _operator.Domains.AddRelayAsync("relay.example", "lmtp:[::1]", RelayRecipients.Listed, By, Cancellation), OperatorAction.DomainAdded, "relay.example, relayed to lmtp:[::1]:24, listed recipients", 0),
            ("Domains.AddRelayAsync", () => _operator.Domains.AddRelayAsync("relay.example", "mx", RelayRecipients.All, By, Cancellation), null, "", 0),
            ("Domains.AddRelayAsync", () => _operator.Domains.AddRelayAsync("asked.example", "mx", RelayRecipients.Verify, By, Cancellation), OperatorAction.DomainAdded, "asked.example, relayed to mx, verified recipients", 0),
            ("Domains.RemoveAsync", () => _operator.Domains.RemoveAsync("example.com", By, Cancellation), OperatorAction.DomainRemoved, "example.com", 0),
            ("Accounts.AddAsync", () => _operator.Accounts.AddAsync("ann@example.org", "short", By, Cancellation), null, "", 0),
            ("Accounts.AddAsync", () => _operator.Accounts.AddAsync("ann@example.net", Password, By, Cancellation), null, "", 0),
            ("Accounts.AddAsync", () => _operator.Accounts.AddAsync("ann@example.org", Password, By, Cancellation), OperatorAction.AccountAdded, "ann@example.org, with postmaster@example.org -> ann@example.org", 0),
            ("Accounts.AddAsync", () => _operator.Accounts.AddAsync("ann@example.org", Password, By, Cancellation), null, "", 0),
            ("Accounts.AddAsync", () => _operator.Accounts.AddAsync("bob@example.org", Password, By, Cancellation), OperatorAction.AccountAdded, "bob@example.org", 0),
            ("Accounts.SetPasswordAsync", () => _operator.Accounts.SetPasswordAsync("ann@example.org", "", By, Cancellation), null, "", 0),
            ("Accounts.SetPasswordAsync", () => _operator.Accounts.SetPasswordAsync("joe@example.org", Password, By, Cancellation), null, "", 0),
            ("Accounts.SetPasswordAsync", () => _operator.Accounts.SetPasswordAsync("Ann@example.org", Password, By, Cancellation), OperatorAction.PasswordChanged, "ann@example.org", 0),
            ("Aliases.AddAsync", () => _operator.Aliases.AddAsync("sales@example.org", "gone@example.org", By), null, "", 0),
            ("Aliases.AddAsync", () => _operator.Aliases.AddAsync("sales@example.org", "ann@example.org", By), OperatorAction.AliasAdded, "sales@example.org -> ann@example.org", 0),
            ("Aliases.AddAsync", () => _operator.Aliases.AddAsync("sales@example.org", "ann@example.org", By), null, "", 0),
            ("Domains.RemoveAsync", () => _operator.Domains.RemoveAsync("example.org", By, Cancellation), null, "", 0),
            ("Accounts.RemoveAsync", () => _operator.Accounts.RemoveAsync("bob@example.org", By, Cancellation), OperatorAction.AccountRemoved, "bob@example.org", 0),
            ("Accounts.RemoveAsync", () => _operator.Accounts.RemoveAsync("bob@example.org", By, Cancellation), null, "", 0),
            ("Aliases.RemoveAsync", () => _operator.Aliases.RemoveAsync("sales@example.org", "ann@example.org", By, Cancellation), OperatorAction.AliasRemoved, "sales@example.org -> ann@example.org", 0),
            ("Aliases.RemoveAsync", () => _operator.Aliases.RemoveAsync("sales@example.org", "ann@example.org", By, Cancellation), null, "", 0),
            ("Accounts.RemoveAsync", () => _operator.Accounts.RemoveAsync("ann@example.org", By, Cancellation), OperatorAction.AccountRemoved, "ann@example.org", 0),
            ("Domains.RemoveAsync", () => _operator.Domains.RemoveAsync("example.org", By, Cancellation), OperatorAction.DomainRemoved, "example.org", 0),
            ("Domains.RemoveAsync", () => _operator.Domains.RemoveAsync("example.org", By, Cancellation), null, "", 0),
            ("Bans.AddAsync", () => _operator.Get<Bans>().AddAsync("::/0", TimeSpan.FromHours(1), "", By), null, "", 0),
            ("Bans.LiftAsync", () => _operator.Get<Bans>().LiftAsync("2001:db8::/32", By), null, "", 0),
            ("Bans.AddAsync", () => _operator.Get<Bans>().AddAsync("2001:DB8::/32", TimeSpan.FromHours(1), "", By), OperatorAction.BanSet, "BAN", 0),
            ("Bans.LiftAsync", () => _operator.Get<Bans>().LiftAsync("2001:db8::/33", By), null, "", 0),
            ("Bans.LiftAsync", () => _operator.Get<Bans>().LiftAsync("2001:db8::/32", By), OperatorAction.BanLifted, "2001:db8::/32", 0),
            ("ApiTokens.MakeAsync", () => _operator.Get<ApiTokens>().MakeAsync("a token", ApiScopes.Read, "", null, By, Cancellation), null, "", 0),
            ("ApiTokens.MakeAsync", () => _operator.Get<ApiTokens>().MakeAsync("t", ApiScopes.Read | ApiScopes.Operate, "", null, By, Cancellation), OperatorAction.TokenMade, "t: read, operate", 0),
            ("ApiTokens.MakeAsync", () => _operator.Get<ApiTokens>().MakeAsync("t", ApiScopes.Read, "", null, By, Cancellation), null, "", 0),
            ("ApiTokens.RemoveAsync", () => _operator.Get<ApiTokens>().RemoveAsync("t", By), OperatorAction.TokenRemoved, "t: read, operate", 0),
            ("ApiTokens.RemoveAsync", () => _operator.Get<ApiTokens>().RemoveAsync("t", By), null, "", 0),
            ("Suppressions.AddAsync", () => lists.AddAsync("example.net", "a@example.com", null, "", By, Cancellation), null, "", 0),
            ("Suppressions.ImportAsync", () => lists.ImportAsync("example.net", new StringReader("a@example.com"), "x", null, By, Cancellation), null, "", 0),
            ("Suppressions.EndAsync", () => lists.EndAsync("example.net", By), null, "", 0),
            ("Suppressions.BeginAsync", () => lists.BeginAsync("gone@example.net", null, By, Cancellation), null, "", 0),
            ("Suppressions.BeginAsync", () => lists.BeginAsync("Example.NET", null, By, Cancellation), OperatorAction.SuppressionBegun, "example.net", 0),
            ("Suppressions.AddAsync", () => lists.AddAsync("example.net", "A@example.com", null, "", By, Cancellation), OperatorAction.RecipientSuppressed, "a@example.com of example.net", 1),
            ("Suppressions.RemoveAsync", () => lists.RemoveAsync("example.net", "b@example.com", By), null, "", 0),
            ("Suppressions.RemoveAsync", () => lists.RemoveAsync("example.net", "a@example.com", By), OperatorAction.RecipientUnsuppressed, "a@example.com of example.net", 1),
            ("Suppressions.ImportAsync", () => lists.ImportAsync("example.net", new StringReader("nobody"), "x", null, By, Cancellation), null, "", 0),
            ("Suppressions.ImportAsync", () => lists.ImportAsync("example.net", new StringReader("a@example.com\nb@example.com"), "x", null, By, Cancellation), OperatorAction.SuppressionsImported, "example.net from x", 2),
            ("Suppressions.EndAsync", () => lists.EndAsync("example.net", By), OperatorAction.SuppressionEnded, "example.net", 0),
            ("DeliveryQueue.ResumeAsync", () => _operator.Queue.ResumeAsync(By), null, "", 0),
            ("DeliveryQueue.PauseAsync", () => _operator.Queue.PauseAsync(By), OperatorAction.DeliveryPaused, "all mail", 0),
            ("DeliveryQueue.PauseAsync", () => _operator.Queue.PauseAsync(By), null, "", 0),
            ("DeliveryQueue.ResumeAsync", () => _operator.Queue.ResumeAsync(By), OperatorAction.DeliveryResumed, "all mail", 0),
            ("Messages.HoldAsync", () => _operator.Messages.HoldAsync("1E240", By, Cancellation), null, "", 0),
            ("Messages.HoldAsync", async () =>
            {
                id = MessageIds.ToText((await _operator.QueueAsync("a@example.net", "b@example.net"))[0].MessageId);
                await _operator.Messages.HoldAsync(id, By, Cancellation);
            }, OperatorAction.Held, "ID", 2),
            ("Messages.HoldAsync", () => _operator.Messages.HoldAsync(id, By, Cancellation), null, "", 0),
            ("DeliveryQueue.FlushAsync", () => _operator.Queue.FlushAsync("example.net", By), null, "", 0),
            ("Messages.ReleaseAsync", () => _operator.Messages.ReleaseAsync(id, By, Cancellation), OperatorAction.Released, "ID", 2),
            ("DeliveryQueue.FlushAsync", () => _operator.Queue.FlushAsync("Example.NET", By), OperatorAction.DomainFlushed, "example.net", 2),
            ("Rules.AddAsync", () => _operator.Get<Rules>().AddAsync("x", RuleAct.Hold, new() { Domain = "no..", Why = "w" }, false, By, Cancellation), null, "", 0),
            ("Rules.AddAsync", () => _operator.Get<Rules>().AddAsync("x", RuleAct.Hold, new() { Domain = "x.example", Why = "w" }, true, By, Cancellation), null, "", 0),
            ("Rules.AddAsync", () => _operator.Get<Rules>().AddAsync("x", RuleAct.Hold, new() { Domain = "x.example", Why = "w" }, false, By, Cancellation), OperatorAction.RuleAdded, "x: hold: domain x.example; w", 0),
            ("Rules.AddAsync", () => _operator.Get<Rules>().AddAsync("x", RuleAct.Hold, new() { Domain = "x.example", Why = "w" }, false, By, Cancellation), null, "", 0),
            ("Rules.ChangeAsync", () => _operator.Get<Rules>().ChangeAsync("y", new() { Why = "v" }, false, By, Cancellation), null, "", 0),
            ("Rules.ChangeAsync", () => _operator.Get<Rules>().ChangeAsync("x", new() { Why = "v" }, false, By, Cancellation), OperatorAction.RuleChanged, "x: hold: domain x.example; v", 0),
            ("Rules.RemoveAsync", () => _operator.Get<Rules>().RemoveAsync("y", By), null, "", 0),
            ("Rules.RemoveAsync", () => _operator.Get<Rules>().RemoveAsync("x", By), OperatorAction.RuleRemoved, "x: hold: domain x.example; v", 0),
            ("TlsPolicies.ForgetAsync", () => _operator.Get<TlsPolicies>().ForgetAsync("example.net", By), null, "", 0),
            ("TlsPolicies.ForgetAsync", async () =>
            {
                var now = _operator.Time.GetUtcNow();
                await _operator.Get<StsPolicyStore>().SaveAsync(new StoredStsPolicy("example.net", "1", "mode: enforce", now, now.AddDays(1), now, now));
                Assert.Single((await _operator.Get<TlsPolicies>().ListAsync(10, Cancellation)).Policies);
                await _operator.Get<TlsPolicies>().ForgetAsync("Example.NET", By);
            }, OperatorAction.TlsPolicyForgotten, "example.net", 0),
            ("DkimKeys.CreateAsync", () => keys.CreateAsync("no..domain", DkimKeyChoice.Ed25519, "s", default, By), null, "", 0),
            ("DkimKeys.CreateAsync", () => keys.CreateAsync("example.net", DkimKeyChoice.Ed25519, "S", default, By), OperatorAction.DkimKeyMade, "se._domainkey.example.net", 0),
            ("DkimKeys.CreateAsync", () => keys.CreateAsync("example.net", DkimKeyChoice.Ed25519, "s", default, By), null, "", 0),
            ("DkimKeys.RetireAsync", () => keys.RetireAsync("example.net", "sr", By), null, "", 0),
            ("DkimKeys.RetireAsync", () => keys.RetireAsync("Example.NET", "SE", By), OperatorAction.DkimKeyRetired, "se._domainkey.example.net", 0),
            ("Messages.RemoveAsync", () => _operator.Messages.RemoveAsync(id, By, Cancellation), OperatorAction.Removed, "ID", 2),
            ("Messages.RemoveAsync", () => _operator.Messages.RemoveAsync(id, By, Cancellation), null, "", 0),
        ];
        var before = 0;
        foreach (var (act, run, noted, subject, recipients) in acts)
        {
            _operator.Time.Advance(TimeSpan.FromMinutes(1));
            await run();
            var (entries, hasMore) = await _operator.Get<AuditTrail>().ListAsync(DateTimeOffset.UnixEpoch, 100, Cancellation);
            Assert.False(hasMore);
            Assert.True((noted is null ? before : before + 1) == entries.Count, $"{act} {subject}: {entries.Count - before} entries");
            before = entries.Count;
            if (noted is { } action)
            {
                var expected = new AuditEntry(action, "ann", _operator.Time.GetUtcNow(), recipients)
                {
                    Host = "mx.example.org",
                    Subject = subject == "ID" ? id : subject == "BAN" ? entries[^1].Subject : subject,
                };
                Assert.Equal(expected, entries[^1]);
            }
        }

        // Whoever gives an operator another act has to say here what is noted of it.
        Assert.Equal(ActsOfAdministration(), acts.Select(act => act.Act).Distinct().Order(StringComparer.Ordinal));
        Assert.Equal(ActsOfAdministration(), acts.Where(act => act.Noted is not null).Select(act => act.Act).Distinct().Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task No_entry_has_a_password_or_what_is_made_of_it()
    {
        await _operator.Domains.AddAsync("example.org", By, Cancellation);
        await _operator.Accounts.AddAsync("ann@example.org", Password, By, Cancellation);
        await _operator.Accounts.SetPasswordAsync("ann@example.org", Password + "2", By, Cancellation);
        var hash = (await _operator.Get<MailDirectory>().FindAccountAsync("ann@example.org", Cancellation))!.Password.Hash;
        foreach (var entry in (await _operator.Get<AuditTrail>().ListAsync(DateTimeOffset.UnixEpoch, 100, Cancellation)).Entries)
        {
            Assert.DoesNotContain(Password, entry.ToString(), StringComparison.Ordinal);
            Assert.DoesNotContain(hash, entry.ToString(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task The_last_ones_since_a_time_are_listed_in_their_order()
    {
        foreach (var domain in (string[])["a.example", "b.example", "c.example", "d.example"])
        {
            _operator.Time.Advance(TimeSpan.FromHours(1));
            await _operator.Domains.AddAsync(domain, By, Cancellation);
        }

        var trail = _operator.Get<AuditTrail>();
        var now = _operator.Time.GetUtcNow();
        Assert.Equal(["b.example", "c.example", "d.example"], await SubjectsAsync(now.AddHours(-2), 10, false));
        Assert.Equal(["c.example", "d.example"], await SubjectsAsync(now.AddHours(-2), 2, true));
        Assert.Equal(["c.example", "d.example"], await SubjectsAsync(now.AddHours(-1), 2, false));
        Assert.Empty(await SubjectsAsync(now.AddSeconds(1), 2, false));

        async Task<IEnumerable<string>> SubjectsAsync(DateTimeOffset since, int most, bool hasMore)
        {
            var found = await trail.ListAsync(since, most, Cancellation);
            Assert.Equal(hasMore, found.HasMore);
            return found.Entries.Select(entry => entry.Subject);
        }
    }

    /// <summary>All that an operator can do: whatever asks who he is.</summary>
    private static IEnumerable<string> ActsOfAdministration() =>
        from type in typeof(Domains).Assembly.GetExportedTypes()
        from method in type.GetMethods(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly)
        where method.GetParameters().Any(parameter => parameter.ParameterType == typeof(OperatorIdentity))
        let name = $"{type.Name}.{method.Name}"
        orderby name
        select name;
}
