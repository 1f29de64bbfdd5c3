using System.Net;
using System.Threading.Channels;
using MailPipeline.Contracts;
using MailPipeline.Testing;
using MassTransit;
using Microsoft.Extensions.Options;

namespace MailPipeline.ServiceDefaults.Tests;

public sealed class BusTests
{
    private static readonly MessageAccepted s_message = new([1]);

    [Fact]
    public async Task Without_a_broker_messages_travel_in_memory_as_the_object_that_was_sent()
    {
        var builder = DefaultsHost.CreateBuilder();
        builder.Services.AddSingleton(Channel.CreateUnbounded<MessageAccepted>());
        builder.AddMailBus(bus => bus.AddConsumer<Collector, CollectorDefinition>());
        var (app, client) = await DefaultsHost.StartAsync(builder);
        await using (app)
        using (client)
        {
            var received = app.Services.GetRequiredService<Channel<MessageAccepted>>().Reader;

            await app.Services.GetRequiredService<MailBus>().SendAsync(BusEndpoints.MessageAccepted, s_message, TestContext.Current.CancellationToken);
            Assert.Same(s_message, await received.ReadAsync(TestContext.Current.CancellationToken));

            await app.Services.GetRequiredService<IBus>().Publish(s_message, TestContext.Current.CancellationToken);
            Assert.Same(s_message, await received.ReadAsync(TestContext.Current.CancellationToken));

            Assert.Equal("loopback", app.Services.GetRequiredService<IBus>().Address.Scheme);
        }
    }

    [Fact]
    public async Task A_consumer_that_fails_does_not_stop_the_next_message()
    {
        var builder = DefaultsHost.CreateBuilder();
        builder.Services.AddSingleton(Channel.CreateUnbounded<MessageAccepted>());
        builder.AddMailBus(bus => bus.AddConsumer<Collector, CollectorDefinition>());
        var (app, client) = await DefaultsHost.StartAsync(builder);
        await using (app)
        using (client)
        {
            var mailBus = app.Services.GetRequiredService<MailBus>();
            await mailBus.SendAsync(BusEndpoints.MessageAccepted, new MessageAccepted([]), TestContext.Current.CancellationToken);
            await mailBus.SendAsync(BusEndpoints.MessageAccepted, s_message, TestContext.Current.CancellationToken);

            var received = app.Services.GetRequiredService<Channel<MessageAccepted>>().Reader;
            Assert.Same(s_message, await received.ReadAsync(TestContext.Current.CancellationToken));
        }
    }

    [Fact]
    public async Task A_broker_that_is_away_neither_stops_the_start_nor_makes_the_service_unready()
    {
        var builder = DefaultsHost.CreateBuilder(("ConnectionStrings:rabbitmq", $"amqp://guest:guest@127.0.0.1:{FreePorts.Next()}/"));
        builder.Services.Configure<MassTransitHostOptions>(host => host.StopTimeout = TimeSpan.FromSeconds(1));
        builder.Services.AddSingleton(new BusKeySource(_ => Task.FromResult(new byte[32])));
        builder.AddMailBus(_ => { });
        var (app, client) = await DefaultsHost.StartAsync(builder);
        await using (app)
        using (client)
        {
            Assert.Equal("rabbitmq", app.Services.GetRequiredService<IBus>().Address.Scheme);
            var ready = await client.GetAsync(new Uri("/health/ready", UriKind.Relative), TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.OK, ready.StatusCode);
        }
    }

    [Theory]
    [InlineData("nonsense")]
    [InlineData("http://127.0.0.1:5672/")]
    public void A_connection_string_that_is_no_broker_is_refused_by_name(string connection)
    {
        var builder = DefaultsHost.CreateBuilder(("ConnectionStrings:rabbitmq", connection));

        var refused = Assert.Throws<StartupException>(() => builder.AddMailBus(_ => { }));
        Assert.Contains("ConnectionStrings:rabbitmq", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Wrong_settings_name_the_setting_its_value_and_what_is_allowed()
    {
        Assert.Equal(
            "Http:Port is '70000'; must be between 0 and 65535",
            Explain(("Http:Port", "70000")));
        Assert.Equal("There is no setting 'Http:Prot'; Http has Address, Port", Explain(("Http:Prot", "1")));
        Assert.Contains("Http:Port", Explain(("Http:Port", "abc"))!, StringComparison.Ordinal);
        Assert.Contains("Http:Address must be an IP address", Explain(("Http:Address", "here"))!, StringComparison.Ordinal);
    }

    [Fact]
    public void A_value_out_of_range_is_named_by_its_section_whatever_the_class_is_called()
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection([new("Host:StopGrace", "-1")]).Build();
        var failure = Assert.Throws<OptionsValidationException>(() => new ServiceCollection()
            .AddSingleton<IConfiguration>(configuration)
            .AddSettings<StopOptions, StopOptionsValidator>(StopOptions.Section).Services
            .BuildServiceProvider().GetRequiredService<IOptions<StopOptions>>().Value);

        Assert.Equal("Host:StopGrace is '-1'; must be between 00:00:01 and 00:30:00", StartupFailure.Explain(failure, configuration));
    }

    private static string? Explain(params (string Key, string Value)[] settings)
    {
        var builder = DefaultsHost.CreateBuilder(settings);
        var failure = Assert.Throws<OptionsValidationException>(() => builder.Build());
        return StartupFailure.Explain(failure, builder.Configuration);
    }

    private sealed class Collector(Channel<MessageAccepted> received) : IConsumer<MessageAccepted>
    {
        public async Task Consume(ConsumeContext<MessageAccepted> context)
        {
            if (context.Message.MessageIds.Length == 0)
                throw new InvalidOperationException("nothing in it");
            await received.Writer.WriteAsync(context.Message, context.CancellationToken);
        }
    }

    private sealed class CollectorDefinition : ConsumerDefinition<Collector>
    {
        public CollectorDefinition() => EndpointName = BusEndpoints.MessageAccepted;
    }
}
