using System.Diagnostics.CodeAnalysis;
using System.Net.Mime;
using MassTransit;
using MassTransit.Serialization;

namespace MailPipeline.ServiceDefaults;

/// <summary>
/// Hands messages over by reference where sender and consumer are one process. Contracts are records that nobody changes
/// after they are made, so a copy by way of JSON buys nothing there; it is the larger part of what a hop costs. Through a
/// broker the bus speaks JSON as ever.
/// </summary>
internal sealed class ReferenceSerializer : ISerializerFactory, IMessageSerializer, IMessageDeserializer
{
    private const string Header = "Mail-Message";

    public ContentType ContentType { get; } = new("application/vnd.mailpipeline.reference");

    public IMessageSerializer CreateSerializer() => this;

    public IMessageDeserializer CreateDeserializer() => this;

    public MessageBody GetMessageBody<T>(SendContext<T> context)
        where T : class
    {
        if (context.MessageId is { } id)
            context.Headers.Set(MessageHeaders.MessageId, id.ToString());
        context.Headers.Set(Header, new Reference(context.Message), overwrite: true);
        return new BytesMessageBody([]);
    }

    public ConsumeContext Deserialize(ReceiveContext receiveContext) =>
        new BodyConsumeContext(receiveContext, Deserialize(receiveContext.Body, receiveContext.TransportHeaders, receiveContext.InputAddress));

    public SerializerContext Deserialize(MessageBody body, Headers headers, Uri? destinationAddress = null)
    {
        if (!headers.TryGetHeader(Header, out var value) || value is not Reference reference)
            throw new System.Runtime.Serialization.SerializationException("The message was not sent by this process");
        var context = new RawMessageContext(headers, destinationAddress!, RawSerializerOptions.AddTransportHeaders);
        return new Received(context, reference.Message, this);
    }

    public MessageBody GetMessageBody(string text) => throw new NotSupportedException("Messages are handed over by reference");

    public void Probe(ProbeContext context) => context.CreateScope("reference");

    /// <summary>A value type that can be formatted, since the in-memory transport passes header values of that kind as they are.</summary>
    private readonly struct Reference(object message) : IFormattable
    {
        public object Message { get; } = message;

        public string ToString(string? format, IFormatProvider? formatProvider) => Message.GetType().Name;
    }

    private sealed class Received(MessageContext context, object message, ReferenceSerializer serializer)
        : BaseSerializerContext(SystemTextJsonMessageSerializer.Instance, context, [MessageUrn.ForTypeString(message.GetType())])
    {
        public override bool IsSupportedMessageType<T>() => message is T;

        public override bool IsSupportedMessageType(Type messageType) => messageType.IsInstanceOfType(message);

        public override bool TryGetMessage<T>(out T? result)
            where T : class
        {
            result = message as T;
            return result is not null;
        }

        public override bool TryGetMessage(Type messageType, [NotNullWhen(true)] out object? result)
        {
            result = messageType.IsInstanceOfType(message) ? message : null;
            return result is not null;
        }

        public override IMessageSerializer GetMessageSerializer() => serializer;

        public override IMessageSerializer GetMessageSerializer<T>(MessageEnvelope envelope, T message) => serializer;

        public override IMessageSerializer GetMessageSerializer(object message, string[] messageTypes) => serializer;

        public override Dictionary<string, object> ToDictionary<T>(T? message)
            where T : class =>
            throw new NotSupportedException("Messages are handed over by reference");
    }
}
