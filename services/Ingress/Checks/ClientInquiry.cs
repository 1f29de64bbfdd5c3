using System.Net;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// What DNS says of one client, asked once for its connection: begun before the greeting, so that the answers are mostly there when they are
/// waited for. Used by its session alone.
/// </summary>
internal sealed class ClientInquiry
{
    private (DnsListPolicy Policy, Task<bool>[] Asked)? _lists;
    private Task<ReverseName>? _reverse;
    private (string Name, Task<GreetedName> Asked)? _greeting;
    private bool _hasWaitedForReverse;

    /// <summary>Asks what the lists say; those of a policy that has changed are asked anew.</summary>
    public void Begin(IPAddress client, DnsListPolicy policy, DnsLists lists)
    {
        if (_lists is not { } begun || begun.Policy != policy)
            _lists = (policy, lists.Ask(client, policy.Lists));
    }

    public ValueTask<DnsListScore> ScoreAsync(IPAddress client, DnsListPolicy policy, DnsLists lists)
    {
        Begin(client, policy, lists);
        return lists.ScoreAsync(_lists!.Value.Asked, policy);
    }

    /// <summary>The name of the client's address.</summary>
    public Task<ReverseName> ReverseNameAsync(IPAddress client, ClientNames names) => _reverse ??= names.FindReverseAsync(client);

    /// <summary>The name of the client's address, as far as it is known: for a question that is put at each step of a session it is waited for once.</summary>
    public async ValueTask<ReverseName> KnownReverseNameAsync(IPAddress client, ClientNames names, TimeSpan longest, TimeProvider time)
    {
        var asked = ReverseNameAsync(client, names);
        if (asked.IsCompleted)
            return await asked;
        if (_hasWaitedForReverse)
            return default;
        _hasWaitedForReverse = true;
        using var patience = new CancellationTokenSource(longest, time);
        return await AnswerAsync(asked, patience.Token);
    }

    /// <summary>What is behind the name that it greets with.</summary>
    public Task<GreetedName> GreetedNameAsync(string name, IPAddress client, ClientNames names)
    {
        if (_greeting is not { } begun || begun.Name != name)
            _greeting = begun = (name, names.FindGreetedAsync(name, client));
        return begun.Asked;
    }

    /// <summary>What is known; the default of its type, which says nothing, where it takes too long.</summary>
    public static async ValueTask<T> AnswerAsync<T>(Task<T> asked, CancellationToken patience)
        where T : struct
    {
        try
        {
            return asked.IsCompleted ? await asked : await asked.WaitAsync(patience);
        }
        catch (OperationCanceledException)
        {
            return default;
        }
    }
}
