using System.Net;
using MailPipeline.Storage;
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
            Store.Directory, new StorageOptions { LoginsWaiting = 3 * most, LoginsWaitingPerNetwork = 3 * most }, new FakeTimeProvider());
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
        var verifier = new CredentialVerifier(Store.Directory, new StorageOptions { LoginsWaiting = 1, LoginsWaitingPerNetwork = 100 }, time);
        var home = new LoginClient(IPAddress.Parse("192.0.2.1"), CancellationToken.None, CancellationToken.None);
        var away = home with { Address = IPAddress.Parse("198.51.100.1") };
        Assert.NotNull((await verifier.VerifyAsync("ann@example.org", "right and long", home)).Account);
        Assert.NotNull((await verifier.VerifyAsync("ann@example.org", "right and long", away)).Account);
        time.Advance(TimeSpan.FromMinutes(6));

        // Strangers in as many networks as it takes for one to wait.
        var strangers = Enumerable.Range(1, Environment.ProcessorCount + 1).Select(i => verifier.VerifyAsync(
            "bob@example.org", "guess", home with { Address = IPAddress.Parse($"100.{i}.0.1") }).AsTask()).ToList();
        Assert.NotNull((await verifier.VerifyAsync("ann@example.org", "right and long", away)).Account);
        await Task.WhenAll(strangers);
    }
}
