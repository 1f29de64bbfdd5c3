using System.Net;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Storage.Tests;

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
}
