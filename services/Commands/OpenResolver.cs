using MailPipeline.Administration;
using MailPipeline.Dns;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace MailPipeline.Commands;

/// <summary>DNS as a command sees it, and what can be asked of it; no store is opened.</summary>
internal sealed class OpenResolver : IAsyncDisposable
{
    private readonly ServiceProvider _services;

    private OpenResolver(ServiceProvider services) => _services = services;

    public IDnsLookup Lookup => _services.GetRequiredService<IDnsLookup>();

    public SenderCheck Senders => _services.GetRequiredService<SenderCheck>();

    public MessageCheck Messages => _services.GetRequiredService<MessageCheck>();

    public DomainCheck Domains => _services.GetRequiredService<DomainCheck>();

    /// <summary>The domain of senders of forwarded mail, as the settings have it; empty: none.</summary>
    public string ForwardedAs => _services.GetRequiredService<IConfiguration>()[$"{SenderRewritingOptions.Section}:{nameof(SenderRewritingOptions.Domain)}"] ?? "";

    public SuffixList Suffixes => _services.GetRequiredService<SuffixList>();

    /// <param name="dataFolder">Settings are read as for other commands; nothing of it is opened.</param>
    /// <param name="server">The server that is asked; null: those of the settings.</param>
    /// <exception cref="StartupException">A setting is wrong.</exception>
    public static async Task<OpenResolver> OpenAsync(string dataFolder, IReadOnlyDictionary<string, string?> settings, string? server)
    {
        var all = new Dictionary<string, string?>(settings, StringComparer.OrdinalIgnoreCase);
        if (server is not null)
        {
            // A list may be written in several settings, of which none is meant then.
            foreach (var name in all.Keys.Where(name => name.StartsWith("Dns:Servers", StringComparison.OrdinalIgnoreCase)).ToList())
                all.Remove(name);
            all["Dns:Servers"] = server;
        }

        var configuration = CommandSettings.Read(Path.GetFullPath(dataFolder), all);
        var services = new ServiceCollection().AddLogging().AddMetrics().AddSingleton<IConfiguration>(configuration).AddAdministrationChecks();
        services.AddDns();
        var provider = services.BuildServiceProvider();
        try
        {
            _ = provider.GetRequiredService<IOptions<DnsOptions>>().Value;
            return new OpenResolver(provider);
        }
        catch (OptionsValidationException invalid)
        {
            await provider.DisposeAsync();
            throw new StartupException(StartupFailure.Explain(invalid, configuration) ?? invalid.Message, invalid);
        }
    }

    public ValueTask DisposeAsync() => _services.DisposeAsync();
}
