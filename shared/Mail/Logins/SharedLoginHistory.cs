using System.Net;
using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>
/// Keeps the <see cref="LoginHistory"/> of this process and those of others together, by storage. Where that is away each process goes on
/// with what it knows itself: its own pauses hold, and nobody is refused for the store's sake.
/// </summary>
/// <param name="failures">Null: no other process works on this store.</param>
internal sealed class SharedLoginHistory(LoginHistory history, LoginFailureStore? failures, TimeProvider time)
{
    /// <summary>Takes over what others know, before a password or proof is looked at.</summary>
    public async ValueTask LearnAsync(string name, IPNetwork prefix)
    {
        if (failures is null)
            return;
        var networks = LoginHistory.NetworksOf(prefix);
        try
        {
            var known = await failures.FindAsync(name, networks);
            foreach (var network in networks)
            {
                if (known.TryGetValue(network, out var shared))
                    history.Learn(name, network, shared.Failures, time.GetUtcNow() - shared.At);
                else
                    history.LearnNothing(name, network);
            }
        }
        catch (StorageUnavailableException)
        {
            // Alone, until it is back.
        }
    }

    /// <summary>Tells the others of failures that they do not know of. Of a name's first one they are not told: most have no second.</summary>
    public async ValueTask TellFailureAsync(string name, IPNetwork prefix)
    {
        if (failures is null || history.TakeUntold(name, prefix) is not { Count: > 0 } untold)
            return;
        try
        {
            await failures.AddAsync(name, untold);
            history.Told(name, untold);
        }
        catch (StorageUnavailableException)
        {
            history.NotTold(name, untold);
        }
    }

    /// <summary>Tells the others that the name has logged in there.</summary>
    public async ValueTask TellLoginAsync(string name, IPNetwork prefix)
    {
        if (failures is null)
            return;
        try
        {
            await failures.ForgetAsync(name, prefix);
        }
        catch (StorageUnavailableException)
        {
            // They forget it by themselves, within the hour.
        }
    }
}
