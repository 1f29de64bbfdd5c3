using System.Net;
using System.Security.Cryptography;
using MailPipeline.Sasl;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Mail.Tests;

/// <summary>Whose name and password it is, on both engines.</summary>
public abstract partial class StoreTests
{
    [Fact]
    public async Task Guesses_that_waited_together_pause_together()
    {
        var most = 5 + Environment.ProcessorCount;
        var verifier = new CredentialVerifier(
            Store.Directory, Store.Secrets, new LoginOptions { MaxWaiting = 3 * most, MaxWaitingPerNetwork = 3 * most }, new FakeTimeProvider());
        var client = new LoginClient(IPAddress.Parse("192.0.2.1"), CancellationToken.None, CancellationToken.None);

        var answers = await Task.WhenAll(Enumerable.Range(0, 3 * most).Select(
            async number => await verifier.VerifyAsync("ann@example.org", $"guess {number}", client)));

        Assert.InRange(answers.Count(answer => !answer.IsBusy), 6, most);
        Assert.Equal(0, verifier.Waiting);
    }

    [Fact(Timeout = 120_000)]
    public async Task A_login_from_memory_counts_as_one_from_there()
    {
        await Store.Directory.AddDomainAsync("example.org");
        await Store.Directory.AddAccountAsync("ann@example.org", PasswordHash.Create("right and long"));
        var time = new FakeTimeProvider();
        var verifier = new CredentialVerifier(Store.Directory, Store.Secrets, new LoginOptions { MaxWaiting = 1, MaxWaitingPerNetwork = 100 }, time);
        var home = new LoginClient(IPAddress.Parse("192.0.2.1"), CancellationToken.None, CancellationToken.None);
        var away = home with { Address = IPAddress.Parse("198.51.100.1") };
        Assert.NotNull((await verifier.VerifyAsync("ann@example.org", "right and long", home)).Account);
        Assert.NotNull((await verifier.VerifyAsync("ann@example.org", "right and long", away)).Account);
        time.Advance(TimeSpan.FromMinutes(16));

        // Strangers in as many networks as it takes for one to wait.
        var strangers = Enumerable.Range(1, Environment.ProcessorCount + 1).Select(i => verifier.VerifyAsync(
            "bob@example.org", "guess", home with { Address = IPAddress.Parse($"100.{i}.0.1") }).AsTask()).ToList();
        Assert.NotNull((await verifier.VerifyAsync("ann@example.org", "right and long", away)).Account);
        await Task.WhenAll(strangers);
    }

    private static readonly LoginClient s_home = new(IPAddress.Parse("192.0.2.1"), CancellationToken.None, CancellationToken.None);

    private CredentialVerifier VerifierOf(LoginOptions options, TimeProvider? time = null) =>
        new(Store.Directory, Store.Secrets, options, time ?? new FakeTimeProvider());

    /// <summary>A client's proof, judged as a session of SMTP or POP3 would have it judged.</summary>
    private static async Task<Verification> ProveAsync(CredentialVerifier verifier, string name, string password, LoginClient client)
    {
        var keys = await verifier.FindScramKeysAsync(name);
        var parts = keys.ToText().Split('$', ':');
        var salted = Rfc2898DeriveBytes.Pbkdf2(password, Convert.FromBase64String(parts[2]), keys.Iterations, HashAlgorithmName.SHA256, 32);
        var isProven = Convert.ToBase64String(SHA256.HashData(HMACSHA256.HashData(salted, "Client Key"u8))) == parts[3];
        return await verifier.VerifyAsync(new ScramClaim(name, keys, isProven), client);
    }

    [Fact]
    public async Task Scram_logs_in_who_knows_the_password_and_nobody_else()
    {
        await Store.Directory.AddAccountAsync("ann@example.org", StoredPassword.Create("right and long", ScramKeys.LeastIterations));
        var verifier = VerifierOf(new LoginOptions());
        Assert.Equal("ann@example.org", (await ProveAsync(verifier, "Ann@Example.org", "right and long", s_home)).Account?.Address);
        Assert.Equal(default, await ProveAsync(verifier, "ann@example.org", "wrong", s_home));
        Assert.Equal(default, await ProveAsync(verifier, "nobody@example.org", "right and long", s_home));
        Assert.Equal(default, await ProveAsync(verifier, new string('a', 400), "right and long", s_home));

        // The password is another one since the keys were given out.
        var old = await verifier.FindScramKeysAsync("ann@example.org");
        await Store.Directory.SetPasswordAsync("ann@example.org", StoredPassword.Create("another one", ScramKeys.LeastIterations));
        Assert.Equal(default, await verifier.VerifyAsync(new ScramClaim("ann@example.org", old, IsProven: true), s_home));
        Assert.NotNull((await ProveAsync(verifier, "ann@example.org", "another one", s_home)).Account);
    }

    [Fact]
    public async Task Names_that_nobody_has_get_keys_like_others_the_same_each_time_in_every_process()
    {
        await Store.Directory.AddAccountAsync("ann@example.org", StoredPassword.Create("right and long", 5000));
        await Store.Directory.AddAccountAsync("old@example.org", "pbkdf2-sha512$1$AAAA$AAAA");
        var (one, other) = (VerifierOf(new LoginOptions { ScramIterations = 5000 }), VerifierOf(new LoginOptions { ScramIterations = 5000 }));
        var ann = await one.FindScramKeysAsync("ann@example.org");
        foreach (var name in new[] { "nobody@example.org", "old@example.org", new string('a', 400) })
        {
            var keys = await one.FindScramKeysAsync(name);
            Assert.Equal(keys.ToText(), (await one.FindScramKeysAsync(name.ToUpperInvariant())).ToText());
            Assert.Equal(keys.ToText(), (await other.FindScramKeysAsync(name)).ToText());
            Assert.Equal((ann.Iterations, ann.ToText().Length), (keys.Iterations, keys.ToText().Length));
            Assert.NotEqual(ann.ToText().Split('$', ':')[2], keys.ToText().Split('$', ':')[2]);
        }
    }

    /// <summary>After a change of the setting accounts are renewed one by one; what names that nobody has are told is as theirs is, all the time.</summary>
    [Fact]
    public async Task Names_that_nobody_has_are_told_the_iterations_that_accounts_have_each_as_often()
    {
        var password = StoredPassword.Create("right and long", 5000);
        for (var i = 0; i < 20; i++)
            await Store.Directory.AddAccountAsync($"user{i}@example.org", password);
        var time = new FakeTimeProvider();
        var verifier = VerifierOf(new LoginOptions { ScramIterations = 6000 }, time);
        string[] names = [.. Enumerable.Range(0, 400).Select(i => $"nobody{i}@example.org")];
        var before = await KeysAsync();
        Assert.All(before, keys => Assert.Equal(5000, keys.Iterations));

        for (var i = 0; i < 5; i++)
            await verifier.VerifyAsync($"user{i}@example.org", "right and long", s_home);
        time.Advance(TimeSpan.FromMinutes(10));
        var some = await KeysAsync();
        Assert.InRange(some.Count(keys => keys.Iterations == 6000), 60, 140);
        Assert.Equal(some.Select(keys => keys.ToText()), (await KeysAsync()).Select(keys => keys.ToText()));

        for (var i = 5; i < 20; i++)
            await verifier.VerifyAsync($"user{i}@example.org", "right and long", s_home);
        time.Advance(TimeSpan.FromMinutes(10));
        var after = await KeysAsync();
        Assert.All(after, keys => Assert.Equal(6000, keys.Iterations));
        for (var i = 0; i < names.Length; i++)
        {
            // A name has new keys with the new number, as an account has, and keeps them.
            var isNew = some[i].Iterations == 6000;
            Assert.Equal((!isNew, isNew), (some[i].ToText() == before[i].ToText(), some[i].ToText() == after[i].ToText()));
            Assert.NotEqual(SaltOf(before[i]), SaltOf(after[i]));
        }

        async Task<ScramKeys[]> KeysAsync()
        {
            var keys = new List<ScramKeys>();
            foreach (var name in names)
                keys.Add(await verifier.FindScramKeysAsync(name));
            return [.. keys];
        }

        static string SaltOf(ScramKeys keys) => keys.ToText().Split('$', ':')[2];
    }

    [Fact]
    public async Task A_name_that_fails_again_and_again_by_scram_is_paused_for_passwords_too()
    {
        await Store.Directory.AddAccountAsync("ann@example.org", StoredPassword.Create("right and long", ScramKeys.LeastIterations));
        var verifier = VerifierOf(new LoginOptions());
        for (var i = 0; i < 6; i++)
            Assert.False((await ProveAsync(verifier, "ann@example.org", $"guess {i}", s_home)).IsBusy);
        Assert.True((await ProveAsync(verifier, "ann@example.org", "right and long", s_home)).IsBusy);
        Assert.True((await verifier.VerifyAsync("ann@example.org", "right and long", s_home)).IsBusy);
        // From elsewhere it is its owner.
        Assert.NotNull((await ProveAsync(verifier, "ann@example.org", "right and long", s_home with { Address = IPAddress.Parse("198.51.100.1") })).Account);
    }

    [Fact]
    public async Task Scram_guesses_that_come_together_pause_together()
    {
        await Store.Directory.AddAccountAsync("ann@example.org", StoredPassword.Create("right and long", ScramKeys.LeastIterations));
        var verifier = VerifierOf(new LoginOptions());
        var answers = await Task.WhenAll(Enumerable.Range(0, 50).Select(i => Task.Run(() => ProveAsync(verifier, "ann@example.org", $"guess {i}", s_home))));
        Assert.Equal(6, answers.Count(answer => !answer.IsBusy));
    }

    /// <summary>As programs stored it before: "right and long" with one iteration.</summary>
    private static string OlderHash(string password)
    {
        var salt = new byte[16];
        var hash = Rfc2898DeriveBytes.Pbkdf2(password, salt, 1, HashAlgorithmName.SHA512, 64);
        return $"pbkdf2-sha512$1${Convert.ToBase64String(salt)}${Convert.ToBase64String(hash)}";
    }

    [Fact]
    public async Task What_an_older_program_stored_is_renewed_when_the_password_is_known_and_scram_works_from_then_on()
    {
        await Store.Directory.AddAccountAsync("ann@example.org", OlderHash("right and long"));
        var verifier = VerifierOf(new LoginOptions { ScramIterations = 5000 });
        Assert.Null((await ProveAsync(verifier, "ann@example.org", "right and long", s_home)).Account);
        Assert.Null((await verifier.VerifyAsync("ann@example.org", "wrong", s_home)).Account);
        Assert.Equal(OlderHash("right and long"), (await Store.Directory.FindAccountAsync("ann@example.org", default))!.Password.Hash);

        Assert.NotNull((await verifier.VerifyAsync("ann@example.org", "right and long", s_home)).Account);
        var stored = (await Store.Directory.FindAccountAsync("ann@example.org", default))!.Password;
        Assert.StartsWith("$argon2id$v=19$m=19456,t=2,p=1$", stored.Hash, StringComparison.Ordinal);
        Assert.NotNull((await ProveAsync(verifier, "ann@example.org", "right and long", s_home)).Account);
        // Once: what is as it would be made now stays.
        Assert.NotNull((await VerifierOf(new LoginOptions { ScramIterations = 5000 }).VerifyAsync("ann@example.org", "right and long", s_home)).Account);
        Assert.Equal(stored, (await Store.Directory.FindAccountAsync("ann@example.org", default))!.Password);
        // With other costs it is made anew, and so the keys go where none are wanted.
        Assert.NotNull((await VerifierOf(new LoginOptions { ScramIterations = 0 }).VerifyAsync("ann@example.org", "right and long", s_home)).Account);
        Assert.Equal("", (await Store.Directory.FindAccountAsync("ann@example.org", default))!.Password.ScramKeys);
    }

    [Fact]
    public async Task Keys_of_a_password_that_an_older_program_has_changed_no_longer_count()
    {
        await Store.Directory.AddAccountAsync("ann@example.org", StoredPassword.Create("right and long", ScramKeys.LeastIterations));
        // It knows that column alone.
        await Store.RunAsync($"UPDATE accounts SET password_hash = '{OlderHash("another one")}'");
        Store.Directory.Forget();
        Assert.Equal("", (await Store.Directory.FindAccountAsync("ann@example.org", default))!.Password.ScramKeys);
        Assert.Null((await ProveAsync(VerifierOf(new LoginOptions()), "ann@example.org", "right and long", s_home)).Account);
    }

    [Fact]
    public async Task Who_comes_before_a_renewal_that_another_process_made_undoes_nothing()
    {
        await Store.Directory.AddAccountAsync("ann@example.org", OlderHash("right and long"));
        var seen = (await Store.Directory.FindAccountAsync("ann@example.org", default))!;
        await Store.Directory.SetPasswordAsync("ann@example.org", new StoredPassword("newer"));
        Assert.False(await Store.Directory.RenewPasswordAsync(seen, new StoredPassword("renewed")));
        Assert.Equal("newer", (await Store.Directory.FindAccountAsync("ann@example.org", default))!.Password.Hash);
    }

    [Theory]
    [InlineData(15, 10, true)]
    [InlineData(15, 16, false)]
    [InlineData(5, 10, false)]
    [InlineData(0, 0, false)]
    public async Task A_password_is_remembered_from_login_to_login_for_as_long_as_the_setting_says(int minutes, int pause, bool isRemembered)
    {
        await Store.Directory.AddAccountAsync("ann@example.org", PasswordHash.Create("right and long"));
        var time = new FakeTimeProvider();
        var verifier = VerifierOf(new LoginOptions { RememberedFor = TimeSpan.FromMinutes(minutes), ScramIterations = 0 }, time);
        Assert.NotNull((await verifier.VerifyAsync("ann@example.org", "right and long", s_home)).Account);
        for (var poll = 0; poll < 3; poll++)
        {
            time.Advance(TimeSpan.FromMinutes(pause));
            // Where it is remembered, a pause for failures that came meanwhile does not matter, if it is not all guessed away: nothing is stretched.
            for (var i = 0; i < (poll == 0 ? 6 : 3); i++)
                await verifier.VerifyAsync("ann@example.org", $"guess {i}", s_home);
            Assert.Equal(isRemembered, !(await verifier.VerifyAsync("ann@example.org", "right and long", s_home)).IsBusy);
            time.Advance(TimeSpan.FromMinutes(isRemembered ? 0 : 2));
            if (!isRemembered)
                break;
        }
    }

    /// <summary>Its owner beside a guesser goes on, and no guess is free.</summary>
    [Fact]
    public async Task In_a_pause_a_password_that_is_remembered_is_looked_for_a_few_times_only()
    {
        await Store.Directory.AddAccountAsync("ann@example.org", PasswordHash.Create("right and long"));
        var verifier = VerifierOf(new LoginOptions { ScramIterations = 0 }, new FakeTimeProvider());
        Assert.NotNull((await verifier.VerifyAsync("ann@example.org", "right and long", s_home)).Account);
        for (var guess = 0; guess < 6; guess++)
            Assert.False((await verifier.VerifyAsync("ann@example.org", $"guess {guess}", s_home)).IsBusy);
        for (var poll = 0; poll < 10; poll++)
            Assert.NotNull((await verifier.VerifyAsync("ann@example.org", "right and long", s_home)).Account);
        for (var guess = 0; guess < 5; guess++)
            Assert.True((await verifier.VerifyAsync("ann@example.org", $"guess {guess}", s_home)).IsBusy);
        Assert.True((await verifier.VerifyAsync("ann@example.org", "right and long", s_home)).IsBusy);
    }
}
