using System.Net;
using System.Net.Sockets;
using MailPipeline.Sasl;
using MailPipeline.Storage;
using MailPipeline.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Mail.Tests;

/// <summary>Logins at several processes of one store: a name is paused at all of them together, and at none for a stranger's sake.</summary>
public abstract partial class StoreTests
{
    private protected const string Right = "right and long";

    private static readonly IPNetwork s_network = IPNetwork.Parse("192.0.2.1/32");

    private protected static LoginClient Home => s_home;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Guesses_at_two_processes_are_counted_together(bool byProof)
    {
        await AddAnnAsync();
        CredentialVerifier[] processes = [Process(), Process()];
        for (var guess = 0; guess < 6; guess++)
            Assert.False((await GuessAsync(processes[guess % 2])).IsBusy);
        Assert.True((await GuessAsync(processes[0])).IsBusy);
        Assert.True((await GuessAsync(processes[1])).IsBusy);
        // Nor is it looked at with the right password from there; from elsewhere it is, at both.
        Assert.True((await LogInAsync(processes[0], s_home, Right)).IsBusy);
        foreach (var process in processes)
            Assert.NotNull((await LogInAsync(process, s_home with { Address = IPAddress.Parse("198.51.100.1") }, Right)).Account);
        // And others are from there.
        Assert.False((await processes[1].VerifyAsync("bob@example.org", "guess", s_home)).IsBusy);

        Store.Time.Advance(TimeSpan.FromSeconds(2));
        Assert.False((await GuessAsync(processes[0])).IsBusy);
        // It grows at both.
        Store.Time.Advance(TimeSpan.FromSeconds(3));
        Assert.True((await GuessAsync(processes[1])).IsBusy);
        Store.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.NotNull((await LogInAsync(processes[1], s_home, Right)).Account);

        Task<Verification> GuessAsync(CredentialVerifier process) => LogInAsync(process, s_home, "wrong");

        async Task<Verification> LogInAsync(CredentialVerifier process, LoginClient client, string password) => byProof
            ? await ProveAsync(process, "ann@example.org", password, client) : await process.VerifyAsync("ann@example.org", password, client);
    }

    /// <summary>One password for each of many names pauses no name: it pauses where they come from, at all processes.</summary>
    [Fact]
    public async Task Who_sprays_names_from_one_network_is_paused_at_all_processes()
    {
        await AddAnnAsync();
        CredentialVerifier[] processes = [Process(20), Process(20)];
        // She is known there at one of them, and beside herself nobody is.
        Assert.NotNull((await processes[0].VerifyAsync("ann@example.org", Right, s_home)).Account);
        var guesses = 0;
        while (!(await ProveAsync(processes[guesses % 2], $"user{guesses}@example.org", "wrong", s_home)).IsBusy)
            guesses++;
        // Each may keep to itself what is less than a tenth.
        Assert.InRange(guesses, 21, 23);
        foreach (var process in processes)
        {
            Assert.True((await ProveAsync(process, "another@example.org", "wrong", s_home)).IsBusy);
            Assert.True((await process.VerifyAsync("another@example.org", "wrong", s_home)).IsBusy);
            Assert.False((await process.VerifyAsync("another@example.org", "wrong", s_home with { Address = IPAddress.Parse("198.51.100.1") })).IsBusy);
        }

        // Remembered or not: she goes on where she was.
        Assert.NotNull((await processes[0].VerifyAsync("ann@example.org", Right, s_home)).Account);
        Assert.NotNull((await ProveAsync(processes[0], "ann@example.org", Right, s_home)).Account);
        Store.Time.Advance(TimeSpan.FromMinutes(1));
        Assert.False((await processes[1].VerifyAsync("another@example.org", "wrong", s_home)).IsBusy);
        Assert.True((await processes[1].VerifyAsync("yet-another@example.org", "wrong", s_home)).IsBusy);
        // Another hour has as many again.
        Store.Time.Advance(TimeSpan.FromHours(1));
        Assert.False((await processes[0].VerifyAsync("another@example.org", "wrong", s_home)).IsBusy);
        Assert.False((await processes[0].VerifyAsync("yet-another@example.org", "wrong", s_home)).IsBusy);
    }

    /// <summary>A third process that knows nothing yet is told before it looks at the first guess.</summary>
    [Fact]
    public async Task A_process_that_has_just_started_knows_of_the_pause()
    {
        await AddAnnAsync();
        var first = Process();
        for (var guess = 0; guess < 6; guess++)
            await first.VerifyAsync("ann@example.org", "wrong", s_home);
        Assert.True((await Process().VerifyAsync("ann@example.org", Right, s_home)).IsBusy);
    }

    [Fact]
    public async Task A_login_ends_the_failures_of_all_processes()
    {
        await AddAnnAsync();
        var (one, other) = (Process(), Process());
        for (var guess = 0; guess < 5; guess++)
            await one.VerifyAsync("ann@example.org", "wrong", s_home);
        Assert.Equal(1, await CountAsync("SELECT COUNT(*) FROM login_failures"));
        Assert.NotNull((await other.VerifyAsync("ann@example.org", Right, s_home)).Account);
        Assert.Equal(0, await CountAsync("SELECT COUNT(*) FROM login_failures"));
        // The first one hears of it, and begins anew.
        for (var guess = 0; guess < 5; guess++)
            Assert.False((await one.VerifyAsync("ann@example.org", "wrong", s_home)).IsBusy);
        Assert.NotNull((await one.VerifyAsync("ann@example.org", Right, s_home)).Account);
    }

    /// <summary>Whoever mistypes once, and whoever tries any number of names, is no other process's business.</summary>
    [Fact]
    public async Task A_login_that_is_right_and_a_first_mistake_write_nothing()
    {
        await AddAnnAsync();
        var process = Process();
        // The key is there, the hash is of today, and the password is remembered or not: no commit.
        await process.VerifyAsync("ann@example.org", Right, s_home);
        var commits = 0;
        using (Store.ListenToCommits(_ => commits++))
        {
            await process.VerifyAsync("ann@example.org", Right, s_home);
            Store.Time.Advance(TimeSpan.FromMinutes(20));
            await process.VerifyAsync("ann@example.org", Right, s_home);
            await process.VerifyAsync("ann@example.org", "wrong", s_home);
            await process.VerifyAsync("ann@example.org", Right, s_home);
            await process.VerifyAsync("bob@example.org", "wrong", s_home);
            await process.VerifyAsync("carol@example.org", "wrong", s_home);
        }

        Assert.Equal(0, commits);
    }

    [Fact]
    public async Task Neither_names_nor_networks_are_stored_and_old_failures_go()
    {
        await Store.Failures.AddAsync([new("s3cret typed as a name", s_network, 3), new("s3cret typed as a name", IPNetwork.Parse("2001:db8::/48"), 2)]);
        var found = await Store.Failures.FindAsync([("s3cret typed as a name", s_network), ("s3cret typed as a name", IPNetwork.Parse("2001:db8::/48"))]);
        Assert.Equal([3, 2], found.OrderBy(row => row.Key.Network.PrefixLength).Select(row => row.Value.Failures));
        Assert.Empty(await Store.Failures.FindAsync([("another", s_network)]));
        Assert.Equal(0, await CountAsync("SELECT COUNT(*) FROM login_failures WHERE who LIKE '%s3cret%' OR who LIKE '%192%.%' OR LENGTH(who) <> 64"));
        Assert.Equal(0, await Store.Failures.ForgetOldAsync());

        Store.Time.Advance(TimeSpan.FromMinutes(59));
        await Store.Failures.AddAsync([new("s3cret typed as a name", s_network, 1)]);
        Store.Time.Advance(TimeSpan.FromMinutes(2));
        Assert.Equal(1, await Store.Failures.ForgetOldAsync());
        Assert.Equal(4, Assert.Single(await Store.Failures.FindAsync([("s3cret typed as a name", s_network)])).Value.Failures);
        // Where nobody has swept yet, what is old counts for nothing all the same.
        Store.Time.Advance(TimeSpan.FromHours(2));
        Assert.Empty(await Store.Failures.FindAsync([("s3cret typed as a name", s_network)]));
        await Store.Failures.AddAsync([new("s3cret typed as a name", s_network, 1)]);
        Assert.Equal(1, Assert.Single(await Store.Failures.FindAsync([("s3cret typed as a name", s_network)])).Value.Failures);
    }

    /// <summary>Proofs cost nothing, and names are made up at will.</summary>
    [Fact]
    public async Task Who_fails_with_any_number_of_names_does_not_fill_the_store_with_them()
    {
        var process = Process();
        for (var name = 0; name < SharedLoginHistory.MostToldOfNetwork + 20; name++)
            await FailTwiceAsync($"user{name}@example.org", s_home);
        Assert.Equal(SharedLoginHistory.MostToldOfNetwork, await CountAsync("SELECT COUNT(*) FROM login_failures"));
        // Of other networks the others hear, and of this one in the next minute, with what was not said before.
        await FailTwiceAsync("ann@example.org", s_home with { Address = IPAddress.Parse("198.51.100.1") });
        Assert.Equal(SharedLoginHistory.MostToldOfNetwork + 1, await CountAsync("SELECT COUNT(*) FROM login_failures"));
        Store.Time.Advance(TimeSpan.FromMinutes(1));
        var last = $"user{SharedLoginHistory.MostToldOfNetwork + 19}@example.org";
        await ProveAsync(process, last, "wrong", s_home);
        Assert.Equal(3, Assert.Single(await Store.Failures.FindAsync([(last, s_network)])).Value.Failures);

        async Task FailTwiceAsync(string name, LoginClient client)
        {
            await ProveAsync(process, name, "wrong", client);
            await ProveAsync(process, name, "wrong", client);
        }
    }

    [Fact]
    public async Task A_sweep_ends_when_nothing_old_is_left()
    {
        await Store.Database.WriteAsync(transaction => transaction.ExecuteAsync(new Statement(
            """
            INSERT INTO login_failures (who, failures, failed_at)
            WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 10050)
            SELECT 'digest' || n, 1, 0 FROM numbers
            """)));
        Assert.Equal(10_050, await Store.Failures.ForgetOldAsync());
        Assert.Equal(0, await CountAsync("SELECT COUNT(*) FROM login_failures"));
    }

    [Fact]
    public async Task Forged_tokens_and_right_ones_are_told_to_all_processes()
    {
        await AddAnnAsync();
        await using var issuer = await OpenIdIssuer.StartAsync(Store.Time);
        var options = new LoginOptions
        {
            ScramIterations = ScramKeys.LeastIterations, OpenId = new OpenIdOptions { Issuer = issuer.Address, Audiences = ["mail"], AllowLoopbackHttp = true },
        };
        using var tokens = new TokenVerifier(options.OpenId, Store.Time, NullLogger<TokenVerifier>.Instance);
        CredentialVerifier[] processes =
            [.. Enumerable.Range(0, 2).Select(_ => new CredentialVerifier(Store.Directory, Store.Secrets, options, Store.Time, tokens, Store.Failures))];
        var forger = IssuerKey.Rsa("rsa-1");
        for (var i = 0; i < 6; i++)
            Assert.Null((await processes[0].VerifyAsync(new TokenClaim("ann@example.org", issuer.Token("ann@example.org", key: forger)), s_home)).Account);
        Assert.True((await processes[1].VerifyAsync("ann@example.org", Right, s_home)).IsBusy);

        Assert.NotNull((await processes[1].VerifyAsync(new TokenClaim("ann@example.org", issuer.Token("ann@example.org")), s_home)).Account);
        Assert.Equal(0, await CountAsync("SELECT COUNT(*) FROM login_failures"));
        Assert.NotNull((await Process().VerifyAsync("ann@example.org", Right, s_home)).Account);
    }

    private protected async Task AddAnnAsync()
    {
        await Store.Directory.AddDomainAsync("example.org");
        await Store.Directory.AddAccountAsync("ann@example.org", StoredPassword.Create(Right, ScramKeys.LeastIterations));
    }

    /// <summary>As a process has it: with a history of its own, on the store of all.</summary>
    private CredentialVerifier Process(int freeFailuresPerNetwork = 0) => new(
        Store.Directory, Store.Secrets, new LoginOptions { ScramIterations = ScramKeys.LeastIterations, FreeFailuresPerNetwork = freeFailuresPerNetwork }, Store.Time, null,
        Store.Failures);
}

public sealed partial class Postgres_store
{
    /// <summary>Each process goes on by itself: its own pauses hold, and nobody is refused for that.</summary>
    [Fact]
    public async Task Where_failures_cannot_be_shared_logins_go_on_and_pauses_hold()
    {
        await AddAnnAsync();
        await using var away = new MailDatabase(
            new StorageOptions { ConnectionString = "Host=127.0.0.1;Port=1;Timeout=1" }, new StoreFixture.Meters(), Store.Time, NullLogger<MailDatabase>.Instance);
        var process = new CredentialVerifier(
            Store.Directory, Store.Secrets, new LoginOptions { ScramIterations = ScramKeys.LeastIterations }, Store.Time, null,
            new LoginFailureStore(away, Store.Secrets));
        Assert.NotNull((await process.VerifyAsync("ann@example.org", Right, Home)).Account);
        var guesser = Home with { Address = IPAddress.Parse("203.0.113.9") };
        for (var guess = 0; guess < 6; guess++)
            Assert.False((await process.VerifyAsync("ann@example.org", "wrong", guesser)).IsBusy);
        Assert.True((await process.VerifyAsync("ann@example.org", "wrong", guesser)).IsBusy);
        Store.Time.Advance(TimeSpan.FromMinutes(20));
        Assert.NotNull((await process.VerifyAsync("ann@example.org", Right, Home)).Account);
    }

    /// <summary>A server that takes connections and says nothing: it is waited for a moment, and then not asked for a while.</summary>
    [Fact(Timeout = 120_000)]
    public async Task Where_storage_does_not_answer_a_login_waits_for_a_moment_and_the_next_ones_do_not()
    {
        await AddAnnAsync();
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        await using var away = new MailDatabase(
            new StorageOptions { ConnectionString = $"Host=127.0.0.1;Port={((IPEndPoint)silent.LocalEndpoint).Port};Timeout=0;Command Timeout=0;SSL Mode=Disable" },
            new StoreFixture.Meters(), Store.Time, NullLogger<MailDatabase>.Instance);
        var time = new ObservedTime();
        var process = new CredentialVerifier(
            Store.Directory, Store.Secrets, new LoginOptions { ScramIterations = ScramKeys.LeastIterations }, time, null,
            new LoginFailureStore(away, Store.Secrets));
        var login = process.VerifyAsync("ann@example.org", Right, Home).AsTask();
        using var asked = await silent.AcceptSocketAsync(TestContext.Current.CancellationToken);
        await time.TimerMade.Task.WaitAsync(TestContext.Current.CancellationToken);
        Assert.False(login.IsCompleted);
        time.Advance(SharedLoginHistory.Patience);
        Assert.NotNull((await login).Account);
        // Time stands still, and this one waits for nothing.
        Assert.False((await process.VerifyAsync("bob@example.org", "wrong", Home with { Address = IPAddress.Parse("198.51.100.1") })).IsBusy);
    }

    /// <summary>Tells when somebody waits for it.</summary>
    private sealed class ObservedTime : FakeTimeProvider
    {
        public TaskCompletionSource TimerMade { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            var timer = base.CreateTimer(callback, state, dueTime, period);
            TimerMade.TrySetResult();
            return timer;
        }
    }

    /// <summary>Two pools of connections, as two pods have them.</summary>
    [Fact]
    public Task Processes_at_which_the_same_names_fail_at_once() => MeetAsync((store, other) =>
    {
        var networks = Enumerable.Range(0, Rows).Select(number => IPNetwork.Parse($"2001:db8:{number:x}::/64")).ToArray();
        return Task.FromResult<(IReadOnlyList<Func<Task>>, IReadOnlyList<Func<Task>>)>((
            One(networks, network => store.Failures.AddAsync([new("ann", network, 1), new("ann", networks[0], 1)])),
            Two(networks, network => other.Failures.AddAsync([new("ann", network, 1), new("ann", networks[^1], 1)]))));
    });
}
