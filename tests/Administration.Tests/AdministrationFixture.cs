using MailPipeline.Mail;
using MailPipeline.Storage;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Administration.Tests;

/// <summary>A store of its own, with all that an operator can ask and do; time stands still.</summary>
internal sealed class AdministrationFixture : IAsyncDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("mailpipeline-administration-").FullName;
    private readonly ServiceProvider _services;

    private AdministrationFixture() => _services = new ServiceCollection().AddLogging().AddMetrics().AddSingleton<TimeProvider>(Time)
        .AddMailStorage(new StorageOptions { ConnectionString = $"Data Source={Path.Combine(_folder, "mail.db")}" })
        .AddAdministration().BuildServiceProvider();

    /// <summary>Who acts.</summary>
    public static OperatorIdentity By { get; } = new("ann", "mx.example.org");

    public FakeTimeProvider Time { get; } = new(new DateTimeOffset(2030, 1, 2, 12, 0, 0, TimeSpan.Zero));

    public Domains Domains => Get<Domains>();

    public Accounts Accounts => Get<Accounts>();

    public Aliases Aliases => Get<Aliases>();

    public Messages Messages => Get<Messages>();

    public DeliveryQueue Queue => Get<DeliveryQueue>();

    public static async Task<AdministrationFixture> OpenAsync()
    {
        var fixture = new AdministrationFixture();
        await fixture.Get<MailDatabase>().OpenAsync(TestContext.Current.CancellationToken);
        return fixture;
    }

    public T Get<T>()
        where T : notnull => _services.GetRequiredService<T>();

    /// <summary>Accepts and routes one message; the domain of each recipient is that of its address.</summary>
    public Task<IReadOnlyList<Recipient>> QueueAsync(params string[] recipients) => QueueAsync(recipients, isSearchable: false);

    /// <summary>The same of one that stands under search terms.</summary>
    public Task<IReadOnlyList<Recipient>> QueueSearchableAsync(params string[] recipients) => QueueAsync(recipients, isSearchable: true);

    public async Task<Envelope> AcceptAsync(params string[] recipients)
    {
        var cancellation = TestContext.Current.CancellationToken;
        var id = await Get<MessageStore>().NextMessageIdAsync(cancellation);
        var message = new Envelope(id, "ann@example.org", recipients, 1, BodyType.SevenBit, Time.GetUtcNow(), "");
        await using var content = Get<MessageStore>().CreateContent(id);
        await content.AppendAsync("x"u8.ToArray(), cancellation);
        await Get<MessageStore>().AcceptAsync(message, content, cancellation);
        return message;
    }

    public Task<Claim> ClaimAsync(long batch, params Recipient[] recipients) => Get<ClaimStore>().TakeAsync(
        batch, recipients[0].Address.Split('@')[1], recipients, begun: true, TestContext.Current.CancellationToken);

    private async Task<IReadOnlyList<Recipient>> QueueAsync(string[] recipients, bool isSearchable)
    {
        var message = await AcceptAsync(recipients);
        var made = await Get<QueueStore>().RouteAsync([new RoutedMessage(
            message, [.. recipients.Select(address => new RoutedRecipient(address, "", address.Split('@')[1], RecipientRoute.Remote))], IsSearchable: isSearchable)]);
        return [.. made.Select(row => row.Recipient)];
    }

    public async ValueTask DisposeAsync()
    {
        await _services.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }
}
