using MailPipeline.Testing;

namespace MailPipeline.EndToEnd.Tests;

/// <summary>
/// A pipeline with two users, ann and bob, and a Postfix that sends us what it neither keeps nor hands in otherwise; for all tests of a class.
/// </summary>
public abstract class PostfixFixture(string name) : IAsyncLifetime
{
    private readonly List<IAsyncDisposable> _others = [];

    internal Pipeline Pipeline { get; } = new(name);

    internal PostfixServer Postfix { get; private set; } = null!;

    public abstract ValueTask InitializeAsync();

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        if (Postfix is not null)
            await Postfix.DisposeAsync();
        await Pipeline.DisposeAsync();
        foreach (var other in _others)
            await other.DisposeAsync();
    }

    /// <summary>A server that the pipeline needs; it ends after the pipeline.</summary>
    private protected async Task<T> StartAsync<T>(Task<T> starting)
        where T : IAsyncDisposable
    {
        var server = await starting;
        _others.Add(server);
        return server;
    }

    private protected Task StartPipelineAsync(params IEnumerable<string> settings) => Pipeline.StartAsync(["ann", "bob"], [.. Pipeline.Impatient, .. settings], default);

    /// <summary>After the pipeline, whose address it is told.</summary>
    private protected async Task StartPostfixAsync(PostfixOptions options) =>
        Postfix = await PostfixServer.StartAsync(options with { RelayHost = Pipeline.Server.Smtp });
}
